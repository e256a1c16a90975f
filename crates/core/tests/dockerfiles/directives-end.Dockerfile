# a plain comment ends them
# escape=`
FROM debian:12
RUN a \
    b
