-- Webhooks of applications. Headers may hold secrets: they are sealed.
CREATE TABLE webhook (
    org_id     TEXT   NOT NULL,
    app_id     TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    webhook    TEXT   NOT NULL, -- JSON: url, triggers, payload, disabled
    headers    TEXT   NOT NULL, -- JSON: reference to the sealed headers
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    PRIMARY KEY (org_id, app_id, id),
    FOREIGN KEY (org_id, app_id) REFERENCES application (org_id, id) ON DELETE CASCADE
);
