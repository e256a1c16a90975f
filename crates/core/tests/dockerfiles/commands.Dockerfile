FROM debian:12
CMD echo "$HOME" && true
CMD ["echo", "$HOME"]
CMD []
CMD ["a", 'b']
ENTRYPOINT exec top -b
ENTRYPOINT ["/entry", "--flag"]
ENTRYPOINT []
