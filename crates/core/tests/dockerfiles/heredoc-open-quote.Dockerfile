FROM debian:12
RUN echo don't <<EOF
RUN two
