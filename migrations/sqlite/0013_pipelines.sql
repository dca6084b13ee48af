-- Pipelines of applications. The one that every application has from the beginning is not a row.

CREATE TABLE pipeline (
    org_id     TEXT   NOT NULL,
    app_id     TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    version_id TEXT   NOT NULL, -- the newest one
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    PRIMARY KEY (org_id, app_id, id),
    FOREIGN KEY (org_id, app_id) REFERENCES application (org_id, id) ON DELETE CASCADE
);

CREATE TABLE pipeline_version (
    id            TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL,
    app_id        TEXT   NOT NULL,
    pipeline_id   TEXT   NOT NULL,
    number        BIGINT NOT NULL, -- 1, 2, ... within the pipeline
    name          TEXT   NOT NULL,
    metadata      TEXT, -- JSON object; none when the document has none
    trigger_types TEXT   NOT NULL, -- JSON array
    content       TEXT   NOT NULL, -- the YAML text, as it was sent
    created_at    BIGINT NOT NULL,
    created_by    TEXT   NOT NULL,
    UNIQUE (org_id, app_id, pipeline_id, number),
    FOREIGN KEY (org_id, app_id, pipeline_id)
        REFERENCES pipeline (org_id, app_id, id) ON DELETE CASCADE
);

-- Which pipeline a request for a deployment goes to. An empty string means: any.
CREATE TABLE pipeline_criteria (
    id              TEXT   NOT NULL PRIMARY KEY,
    org_id          TEXT   NOT NULL,
    app_id          TEXT   NOT NULL,
    pipeline_id     TEXT   NOT NULL,
    trigger_type    TEXT   NOT NULL,
    env_type        TEXT   NOT NULL,
    env_id          TEXT   NOT NULL,
    deployment_type TEXT   NOT NULL, -- deploy, redeploy
    said            TEXT   NOT NULL, -- JSON: the members as they were sent
    created_at      BIGINT NOT NULL,
    created_by      TEXT   NOT NULL,
    UNIQUE (org_id, app_id, trigger_type, env_type, env_id, deployment_type),
    FOREIGN KEY (org_id, app_id, pipeline_id)
        REFERENCES pipeline (org_id, app_id, id) ON DELETE CASCADE
);

CREATE INDEX pipeline_criteria_by_pipeline ON pipeline_criteria (org_id, app_id, pipeline_id);
