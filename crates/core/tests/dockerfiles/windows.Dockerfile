# escape=`
FROM debian:12
RUN one `
  two
COPY a b
RUN <<E
echo
E
