FROM \
  --platform=$BUILDPLATFORM \
  debian:${TAG:-12} \
  as \
  Build.One_2-x
RUN --mount=type=cache,target=/a \
    --network=none \
    -- --not-a-flag --mount=x
COPY --from=0 --chown=app:app --link --parents --exclude=*.o --exclude="a b" src ./ /dest/
