FROM debian:12
RUN <<EOF
apt-get update
  # kept, and so is this: \
apt-get install -y $PACKAGES

EOF
RUN <<-'EOF'
	indented
		more
	EOF
RUN <<"#!"
#!/usr/bin/env python3
print("hello")
#!
RUN --mount=type=cache,target=/c --network=none << EOF
spaced
EOF
RUN <<E bash -e
echo $0
E
RUN cat <<ONE >/a && cat <<-TWO >/b; cat 3<<"THREE" <&3
1
ONE
	2
	TWO
3
THREE
RUN echo "<<NOT" '<<NOT' \<<NOT $((1<<2)) <<<here
RUN cat <<EOF | \
  tr a b
abc
EOF
