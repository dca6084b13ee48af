-- Registries of container images. Credentials are sealed.
CREATE TABLE registry (
    org_id      TEXT   NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id          TEXT   NOT NULL,
    registry    TEXT   NOT NULL, -- JSON: registry, type, enable_ci, secrets
    credentials TEXT, -- JSON: reference to the sealed credentials; none without any
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    PRIMARY KEY (org_id, id)
);
