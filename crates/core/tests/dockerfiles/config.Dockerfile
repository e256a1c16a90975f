FROM debian:12
WORKDIR /a dir/with blanks
WORKDIR relative/$X
USER app:app
USER $UID
EXPOSE 80 53/udp 8000-8010/tcp $PORTS
EXPOSE 443
VOLUME /data /log
VOLUME ["/a b", "$V"]
STOPSIGNAL SIGQUIT
STOPSIGNAL 9
STOPSIGNAL $SIGNAL
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
