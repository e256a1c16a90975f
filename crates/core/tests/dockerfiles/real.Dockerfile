# syntax=docker/dockerfile:1
ARG NODE=20
FROM node:${NODE}-slim AS deps
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm,sharing=locked \
    --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --omit=dev

FROM node:${NODE}-slim
ENV NODE_ENV=production PORT=8080
WORKDIR /app
COPY --from=deps --chown=node:node /app/node_modules ./node_modules
COPY --chown=node:node . .
USER node
EXPOSE $PORT
HEALTHCHECK --interval=30s CMD ["node", "health.js"]
ENTRYPOINT ["node"]
CMD ["server.js"]
