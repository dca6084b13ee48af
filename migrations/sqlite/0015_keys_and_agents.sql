-- Public keys of an organization, and agents with theirs.
CREATE TABLE public_key (
    org_id      TEXT   NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id          TEXT   NOT NULL,
    key         TEXT   NOT NULL, -- PEM, as it was sent
    fingerprint TEXT   NOT NULL, -- SHA-256 of the DER bytes, in hex
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, fingerprint)
);

CREATE TABLE agent (
    org_id      TEXT   NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id          TEXT   NOT NULL,
    description TEXT, -- none when nobody said
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    PRIMARY KEY (org_id, id)
);

CREATE TABLE agent_key (
    org_id      TEXT   NOT NULL,
    agent_id    TEXT   NOT NULL,
    key         TEXT   NOT NULL, -- PEM, as it was sent
    fingerprint TEXT   NOT NULL, -- SHA-256 of the DER bytes, in hex
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    PRIMARY KEY (org_id, fingerprint),
    FOREIGN KEY (org_id, agent_id) REFERENCES agent (org_id, id) ON DELETE CASCADE
);
