-- Secret stores that references may name. What opens them is sealed.
CREATE TABLE secret_store (
    org_id      TEXT   NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id          TEXT   NOT NULL,
    store       TEXT   NOT NULL, -- JSON: one of awssm, azurekv, gcpsm, vault
    credentials TEXT, -- JSON: reference to the sealed credentials; none without any
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    updated_at  BIGINT NOT NULL,
    updated_by  TEXT   NOT NULL,
    PRIMARY KEY (org_id, id)
);
