-- Documents about images, attached to them: the newest of each kind.
CREATE TABLE referrer (
    subject        TEXT NOT NULL,
    artifact_type  TEXT NOT NULL,
    manifest       TEXT NOT NULL,
    made           BIGINT NOT NULL,
    PRIMARY KEY (subject, artifact_type)
);
