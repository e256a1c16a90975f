-- Facts: bases, artifacts, preparations, reusable layers, instances. Times are seconds since 1970.
CREATE TABLE base_version (
    name    TEXT NOT NULL,
    number  BIGINT NOT NULL,
    digest  TEXT NOT NULL,
    plan    TEXT NOT NULL,
    made    BIGINT NOT NULL,
    PRIMARY KEY (name, number)
);
CREATE INDEX base_version_digest ON base_version (name, digest);

CREATE TABLE preparation (
    id       TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    plan     TEXT NOT NULL,
    began    BIGINT NOT NULL,
    ended    BIGINT,
    failure  TEXT
);

CREATE TABLE artifact (
    digest       TEXT PRIMARY KEY,
    app          TEXT NOT NULL,
    plan         TEXT NOT NULL,
    base         TEXT NOT NULL,
    revision     TEXT,
    made         BIGINT NOT NULL,
    preparation  TEXT NOT NULL,
    -- Counts up each time an artifact is made or taken again: the highest of an app is its newest.
    rank         BIGINT NOT NULL
);
CREATE INDEX artifact_plan ON artifact (plan);
CREATE INDEX artifact_app ON artifact (app, rank);

CREATE TABLE layer (
    inputs      TEXT PRIMARY KEY,
    diff_id     TEXT NOT NULL,
    blob        TEXT NOT NULL,
    size        BIGINT NOT NULL,
    media_type  TEXT NOT NULL,
    made        BIGINT NOT NULL
);

CREATE TABLE instance (
    id        TEXT PRIMARY KEY,
    artifact  TEXT NOT NULL,
    process   TEXT NOT NULL,
    port      BIGINT,
    began     BIGINT NOT NULL
);
