-- What an environment does with new versions of artefacts.
CREATE TABLE automation_rule (
    org_id     TEXT   NOT NULL,
    app_id     TEXT   NOT NULL,
    env_id     TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    rule       TEXT   NOT NULL, -- JSON: the rule
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, app_id, env_id, id),
    FOREIGN KEY (org_id, app_id, env_id)
        REFERENCES environment (org_id, app_id, id) ON DELETE CASCADE
);
