#!/usr/bin/env till
# syntax=example.org/our/frontend:2
# escape=`
FROM debian:12
RUN a \
 b
