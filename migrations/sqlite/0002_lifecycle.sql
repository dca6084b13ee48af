-- What resources need to be freed again, and the states of infrastructure code.

-- GUResIDs of what the resource needs, as JSON: freeing goes against this direction.
ALTER TABLE active_resource ADD COLUMN depends_on TEXT NOT NULL DEFAULT '[]';

-- Whether a deployment that succeeds frees what its graph does not need.
ALTER TABLE deployment ADD COLUMN prune BIGINT NOT NULL DEFAULT 0;

-- One row for each thing that is to be freed, and afterwards the record that it was. The row is the
-- request: a worker claims it, as it claims deployments.
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
    depends_on   TEXT   NOT NULL, -- JSON: GUResIDs of what is freed later than this
    is_current   BIGINT NOT NULL, -- 0: what an earlier driver made of a resource that lives on
    is_forced    BIGINT NOT NULL, -- although the last deployment needs it
    reason       TEXT   NOT NULL, -- in the words of who asked for it
    requested_by TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    state        TEXT   NOT NULL, -- held, pending, given up, freed, forgotten, detached
    attempt      BIGINT NOT NULL,
    error        TEXT, -- JSON: code, message, hint of the last attempt
    changed_at   BIGINT NOT NULL,
    lease_owner  TEXT   NOT NULL DEFAULT '',
    lease_epoch  BIGINT NOT NULL DEFAULT 0,
    lease_until  BIGINT NOT NULL DEFAULT 0 -- nobody else before this time
);

-- A thing is asked for once at a time.
CREATE UNIQUE INDEX removal_under_way ON removal (guresid, driver_type)
    WHERE state IN ('held', 'pending', 'given up');

CREATE INDEX removal_by_environment ON removal (org_id, app_id, env_id, state);

CREATE INDEX removal_to_claim ON removal (state, lease_until);

-- The state that Terraform or OpenTofu keeps of one resource.
CREATE TABLE terraform_state (
    guresid    TEXT   NOT NULL PRIMARY KEY,
    sealed     BLOB, -- none before the first write
    updated_at BIGINT NOT NULL,
    lock_id    TEXT   NOT NULL, -- empty: not locked
    lock_about TEXT   NOT NULL, -- what the holder says about itself, as JSON
    locked_at  BIGINT NOT NULL
);
