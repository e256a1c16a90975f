FROM debian:12
COPY <<one <<-"two" three /dest/
a $x
one
	b $x
two
COPY --chmod=600 << config.toml /etc/
[a]
# not a comment
b = "c\
config.toml
ADD <<x /y
x
