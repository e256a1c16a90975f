FROM debian:12
RUN --mount=target=/src true
RUN --mount=type=bind,from=build,source=/out,target=/in,rw true
RUN --mount=type=cache,id=apt,target=/var/cache/apt,sharing=locked,mode=0700,uid=7,gid=8,from=seed,src=/c --mount=type=cache,dst=/b,sharing=private,ro true
RUN --mount=type=tmpfs,destination=/tmp,size=64m true
RUN --mount=type=secret,id=token,required,mode=0440 --mount=type=secret,source=other,env=OTHER,required=false true
RUN --mount=TYPE=Cache,Target=relative,readonly=false true
RUN --mount=type=cache,target=/home/$USER,uid=$ID,\"id=a,b\" --network=default --security=sandbox true
