FROM debian:12
ADD root.tar.xz /
ADD --unpack=false --chown=1:2 a.tar b.tar /tars/
ADD --unpack --link a.tar /
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.org/a /a
ADD --keep-git-dir=true https://example.org/a.git#v1:docs /docs
