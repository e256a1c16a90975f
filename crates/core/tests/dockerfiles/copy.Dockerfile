FROM debian:12
COPY a b
COPY a* b?/ [c-d] $SRC "/dest dir"
COPY ["with blank", "${x}", "/dest dir/"]
COPY --from=build --chmod=u=rwX,go=rX --chown=$USER:0 --link=false /out/ .
COPY --chmod=0755 --parents ./a/./b/**/*.c /c/
COPY --chmod=$MODE --exclude=$NOT a b
