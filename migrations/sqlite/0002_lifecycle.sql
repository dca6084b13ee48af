-- What resources need to be freed again, and the states of infrastructure code.

-- GUResIDs of what the resource needs, as JSON: freeing goes against this direction.
ALTER TABLE active_resource ADD COLUMN depends_on TEXT NOT NULL DEFAULT '[]';

-- One row for each thing that a driver is to free. The row is the request; it goes when it is done.
CREATE TABLE removal (
    id           TEXT   NOT NULL PRIMARY KEY,
    org_id       TEXT   NOT NULL,
    app_id       TEXT   NOT NULL,
    env_id       TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    class        TEXT   NOT NULL,
    res_id       TEXT   NOT NULL,
    guresid      TEXT   NOT NULL,
    driver_type  TEXT   NOT NULL,
    cookie       TEXT   NOT NULL, -- JSON: reference of the driver's cookie; empty without one
    depends_on   TEXT   NOT NULL, -- JSON: GUResIDs that are freed later than this
    is_current   BIGINT NOT NULL, -- 0: what an earlier driver made of a resource that lives on
    reason       TEXT   NOT NULL, -- why it is freed, in the words of who asked for it
    requested_by TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    attempt      BIGINT NOT NULL DEFAULT 0,
    error        TEXT, -- JSON: code, message, hint of the last attempt
    is_given_up  BIGINT NOT NULL DEFAULT 0, -- tried often enough; asking again tries again
    lease_owner  TEXT   NOT NULL DEFAULT '',
    lease_epoch  BIGINT NOT NULL DEFAULT 0,
    lease_until  BIGINT NOT NULL DEFAULT 0 -- also: not before this time
);

CREATE UNIQUE INDEX removal_by_resource ON removal (guresid, driver_type);

CREATE INDEX removal_by_environment ON removal (org_id, app_id, env_id);

-- The state that Terraform or OpenTofu keeps of one resource.
CREATE TABLE terraform_state (
    guresid    TEXT   NOT NULL PRIMARY KEY,
    sealed     BLOB, -- none before the first write
    updated_at BIGINT NOT NULL,
    lock_id    TEXT   NOT NULL, -- empty: not locked
    lock_about TEXT   NOT NULL, -- what the holder says about itself, as JSON
    locked_at  BIGINT NOT NULL
);
