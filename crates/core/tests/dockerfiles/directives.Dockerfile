#  Syntax = docker/dockerfile:1.7-labs
# CHECK=skip=JSONArgsRecommended;error=true
# escape = `

# escape=\
FROM debian:12
RUN dir c:\ `
    && echo two
ENV P=a` b
