-- What pipelines have built, and what workloads may look like.

CREATE TABLE artefact (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    type       TEXT   NOT NULL, -- container, workload
    name       TEXT   NOT NULL, -- of a container: the image without tag and digest
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT   NOT NULL,
    UNIQUE (org_id, type, name)
);

CREATE TABLE artefact_version (
    id             TEXT   NOT NULL PRIMARY KEY,
    artefact_id    TEXT   NOT NULL REFERENCES artefact (id) ON DELETE CASCADE,
    number         BIGINT NOT NULL, -- 1, 2, ... within the artefact
    archived       BIGINT NOT NULL,
    version        TEXT, -- none when nobody said
    git_ref        TEXT   NOT NULL, -- empty when nobody said
    commit_id      TEXT   NOT NULL, -- empty when nobody said
    digest         TEXT   NOT NULL, -- empty for workloads, and when nobody said
    image_id       TEXT   NOT NULL, -- what the image is called in the operations before artefacts
    tags           TEXT   NOT NULL, -- JSON array, as those operations have them
    content        TEXT, -- JSON of a workload: the Score file and what came with it
    deployment_set TEXT, -- JSON of a workload: what became of it
    created_at     BIGINT NOT NULL,
    created_by     TEXT   NOT NULL,
    updated_at     BIGINT NOT NULL,
    updated_by     TEXT   NOT NULL,
    UNIQUE (artefact_id, number)
);

CREATE INDEX artefact_version_by_image ON artefact_version (image_id);

-- Profiles of an organization; the built-in ones are not rows.
CREATE TABLE workload_profile (
    org_id              TEXT   NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id                  TEXT   NOT NULL, -- without the organization
    deprecation_message TEXT, -- none when nobody said
    version             TEXT   NOT NULL, -- the newest one
    created_at          BIGINT NOT NULL,
    created_by          TEXT   NOT NULL,
    updated_at          BIGINT NOT NULL,
    updated_by          TEXT   NOT NULL,
    PRIMARY KEY (org_id, id)
);

CREATE TABLE workload_profile_version (
    org_id          TEXT   NOT NULL,
    profile_id      TEXT   NOT NULL,
    version         TEXT   NOT NULL,
    id              TEXT   NOT NULL,
    number          BIGINT NOT NULL, -- 1, 2, ... within the profile
    description     TEXT   NOT NULL,
    spec_definition TEXT   NOT NULL, -- JSON
    chart_id        TEXT   NOT NULL,
    chart_version   TEXT   NOT NULL, -- as it was written; may be latest
    created_at      BIGINT NOT NULL,
    created_by      TEXT   NOT NULL,
    PRIMARY KEY (org_id, profile_id, version),
    UNIQUE (org_id, profile_id, number),
    FOREIGN KEY (org_id, profile_id) REFERENCES workload_profile (org_id, id) ON DELETE CASCADE
);

-- Helm charts that profiles of the organization name.
CREATE TABLE workload_profile_chart (
    org_id     TEXT   NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id         TEXT   NOT NULL,
    version    TEXT   NOT NULL, -- semantic
    number     BIGINT NOT NULL, -- 1, 2, ... within the chart
    archive    BLOB   NOT NULL, -- the gzipped tar file, as it was sent
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    PRIMARY KEY (org_id, id, version),
    UNIQUE (org_id, id, number)
);
