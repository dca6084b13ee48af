-- Accounts of an organization at clouds and other services: what drivers work with.

CREATE TABLE resource_account (
    org_id      TEXT   NOT NULL REFERENCES organization (id),
    id          TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    type        TEXT   NOT NULL,
    credentials TEXT   NOT NULL, -- JSON: reference of the sealed credentials
    identity    TEXT   NOT NULL, -- JSON: what of the credentials may be shown
    created_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, id)
);

-- The account that the driver needs to free what it made; empty without one.
ALTER TABLE removal ADD COLUMN driver_account TEXT NOT NULL DEFAULT '';

CREATE INDEX active_resource_by_account ON active_resource (org_id, driver_account)
    WHERE driver_account <> '';

CREATE INDEX removal_by_account ON removal (org_id, driver_account)
    WHERE driver_account <> '' AND state IN ('held', 'pending', 'given up');
