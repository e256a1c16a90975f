# before
FROM debian:12
  # indented
RUN one \
# inside, at the margin
    # inside, indented
    two # not a comment
	RUN three
RUN echo '# no comment either'
