ARG VERSION=12 VARIANT="slim" EMPTY= NONE
ARG IMAGE=debian:${VERSION}-$VARIANT
FROM ${IMAGE} AS base
ARG VERSION
ARG A=1 B='two words' C=$A C-D E=e\ f
FROM base
FROM --platform=linux/amd64 $IMAGE
