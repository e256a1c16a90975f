FROM debian:12
ONBUILD COPY . /app
ONBUILD   RUN --mount=type=cache,target=/c \
  make
onbuild ENV A=1 B=2
ONBUILD RUN <<EOF
make
	install
EOF
ONBUILD COPY --from=build <<-x <<y /z/
	1
x
2
y
ONBUILD CMD ["a"]
