FROM debian:12
RUN apt-get update && apt-get install -y curl
RUN ["/bin/echo", "a b", "\u00e9\n", "$HOME"]
RUN [ "not", 'json' ]
RUN ["not json either"] and more
RUN [ -f /etc/passwd ]
RUN echo "$HOME" \$X 'y'
RUN  ["a"]  
