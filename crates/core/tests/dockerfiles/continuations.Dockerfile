FROM debian:12
RUN a \   
  b\
c \

   
  d
RUN two \\
RUN \
three
ENV A=1 \
    B="x \
  y"
LABEL k=v \
