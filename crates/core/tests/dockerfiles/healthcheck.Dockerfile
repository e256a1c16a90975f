FROM debian:12
HEALTHCHECK NONE
HEALTHCHECK CMD curl -f http://localhost/ || exit 1
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=0s \
  --start-interval=2s --retries=3 cmd ["/check", "-v"]
HEALTHCHECK none
HEALTHCHECK --retries=0 CMD	tabbed
