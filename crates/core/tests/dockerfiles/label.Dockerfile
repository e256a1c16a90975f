FROM scratch
LABEL com.example.a="x" com.example.b=y\ z multi="one \
two"
LABEL old the rest
LABEL "a b"="c=d" e=f=g
MAINTAINER Somebody <somebody@example.org>
