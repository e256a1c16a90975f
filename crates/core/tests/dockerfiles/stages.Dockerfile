FROM golang:1.22 AS build
RUN go build
FROM build AS test
RUN go test
FROM scratch AS Final
COPY --from=build /a /a
COPY --from=0 /b /b
FROM debian@sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d
COPY --from=nginx:1.25 /etc/nginx /etc/nginx
