-- The first schema. Columns are TEXT, BIGINT or BLOB; times are UTC microseconds; flags are 0 or 1;
-- documents are JSON in TEXT; an absent part of a key is the empty string (docs/design/store.md).

CREATE TABLE installation (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE organization (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL
);

CREATE TABLE user_account (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    type       TEXT   NOT NULL, -- user, service
    email      TEXT,
    created_at BIGINT NOT NULL
);

CREATE TABLE role (
    object  TEXT NOT NULL, -- path of the object, for example /orgs/acme
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    role    TEXT NOT NULL,
    PRIMARY KEY (object, user_id)
);

CREATE TABLE token (
    user_id      TEXT   NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    id           TEXT   NOT NULL, -- unique for the user only
    type         TEXT   NOT NULL, -- static, session
    description  TEXT   NOT NULL,
    hash         BLOB   NOT NULL UNIQUE, -- SHA-256 of the token; the token itself is never stored
    created_at   BIGINT NOT NULL,
    created_by   TEXT   NOT NULL,
    expires_at   BIGINT,
    PRIMARY KEY (user_id, id)
);

CREATE TABLE application (
    org_id            TEXT   NOT NULL REFERENCES organization (id),
    id                TEXT   NOT NULL,
    name              TEXT   NOT NULL,
    created_at        BIGINT NOT NULL,
    created_by        TEXT   NOT NULL,
    status            TEXT   NOT NULL, -- active, deleting
    status_changed_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, id)
);

CREATE TABLE environment_type (
    org_id      TEXT NOT NULL REFERENCES organization (id),
    id          TEXT NOT NULL,
    description TEXT NOT NULL,
    PRIMARY KEY (org_id, id)
);

CREATE TABLE environment (
    org_id            TEXT   NOT NULL,
    app_id            TEXT   NOT NULL,
    id                TEXT   NOT NULL,
    name              TEXT   NOT NULL,
    type              TEXT   NOT NULL,
    created_at        BIGINT NOT NULL,
    created_by        TEXT   NOT NULL,
    from_deploy_id    TEXT, -- base of the next deployment
    last_deploy_id    TEXT, -- newest deployment executed here
    paused            BIGINT NOT NULL DEFAULT 0,
    status            TEXT   NOT NULL, -- active, deleting
    status_changed_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, app_id, id),
    FOREIGN KEY (org_id, app_id) REFERENCES application (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, type) REFERENCES environment_type (org_id, id)
);

-- Sets are named by their content, so one row serves every application.
CREATE TABLE deployment_set (
    id      TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL
);

CREATE TABLE application_set (
    org_id     TEXT   NOT NULL,
    app_id     TEXT   NOT NULL,
    set_id     TEXT   NOT NULL REFERENCES deployment_set (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, app_id, set_id),
    FOREIGN KEY (org_id, app_id) REFERENCES application (org_id, id) ON DELETE CASCADE
);

CREATE TABLE delta (
    org_id           TEXT   NOT NULL,
    app_id           TEXT   NOT NULL,
    id               TEXT   NOT NULL,
    name             TEXT   NOT NULL,
    env_id           TEXT   NOT NULL,
    archived         BIGINT NOT NULL,
    shared           BIGINT NOT NULL,
    contributers     TEXT   NOT NULL, -- JSON array; spelled as on the wire
    created_by       TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    last_modified_at BIGINT NOT NULL,
    content          TEXT   NOT NULL, -- JSON: modules and shared
    PRIMARY KEY (org_id, app_id, id),
    FOREIGN KEY (org_id, app_id) REFERENCES application (org_id, id) ON DELETE CASCADE
);

CREATE TABLE shared_value (
    org_id          TEXT   NOT NULL,
    app_id          TEXT   NOT NULL,
    env_id          TEXT   NOT NULL, -- empty: the application's own value
    key             TEXT   NOT NULL,
    description     TEXT   NOT NULL,
    is_secret       BIGINT NOT NULL,
    value           TEXT   NOT NULL, -- empty for secrets
    secret_store_id TEXT,
    secret_key      TEXT,
    secret_version  TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (org_id, app_id, env_id, key),
    FOREIGN KEY (org_id, app_id) REFERENCES application (org_id, id) ON DELETE CASCADE
);

CREATE TABLE value_set_version (
    id                TEXT   NOT NULL PRIMARY KEY,
    org_id            TEXT   NOT NULL,
    app_id            TEXT   NOT NULL,
    env_id            TEXT   NOT NULL, -- empty: the application's own values
    number            BIGINT NOT NULL, -- 1, 2, ... within one environment or application
    created_at        BIGINT NOT NULL,
    created_by        TEXT   NOT NULL,
    comment           TEXT   NOT NULL,
    source_version_id TEXT,
    result_of         TEXT   NOT NULL,
    change            TEXT   NOT NULL, -- JSON patch against the version before
    content           TEXT   NOT NULL, -- JSON: key to value object; for an environment the merged view
    UNIQUE (org_id, app_id, env_id, number),
    FOREIGN KEY (org_id, app_id) REFERENCES application (org_id, id) ON DELETE CASCADE
);

CREATE TABLE resource_type (
    org_id  TEXT NOT NULL REFERENCES organization (id),
    type    TEXT NOT NULL, -- <org>/<name>
    content TEXT NOT NULL, -- JSON of the v1 object
    PRIMARY KEY (org_id, type)
);

CREATE TABLE resource_class (
    org_id      TEXT   NOT NULL REFERENCES organization (id),
    type        TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    description TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    updated_at  BIGINT NOT NULL,
    updated_by  TEXT   NOT NULL,
    PRIMARY KEY (org_id, type, id)
);

CREATE TABLE resource_driver (
    org_id  TEXT NOT NULL REFERENCES organization (id),
    id      TEXT NOT NULL,
    content TEXT NOT NULL, -- JSON of the v1 object
    PRIMARY KEY (org_id, id)
);

CREATE TABLE definition (
    org_id            TEXT   NOT NULL REFERENCES organization (id),
    id                TEXT   NOT NULL,
    type              TEXT   NOT NULL,
    active_version_id TEXT   NOT NULL,
    is_deleted        BIGINT NOT NULL DEFAULT 0,
    created_at        BIGINT NOT NULL,
    created_by        TEXT   NOT NULL,
    updated_at        BIGINT NOT NULL,
    updated_by        TEXT   NOT NULL,
    PRIMARY KEY (org_id, id)
);

CREATE TABLE definition_version (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL,
    def_id     TEXT   NOT NULL,
    action     TEXT   NOT NULL, -- created, updated, deleted
    proposed   BIGINT NOT NULL,
    archived   BIGINT NOT NULL,
    content    TEXT   NOT NULL, -- JSON: name, driver_type, driver_account, driver_inputs, provision, ...
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL
);

CREATE INDEX definition_version_by_definition ON definition_version (org_id, def_id, created_at);

CREATE TABLE criteria (
    id       TEXT NOT NULL PRIMARY KEY,
    org_id   TEXT NOT NULL,
    def_id   TEXT NOT NULL,
    type     TEXT NOT NULL,
    class    TEXT NOT NULL,
    res_id   TEXT NOT NULL, -- in this table an empty string means: any
    env_id   TEXT NOT NULL,
    app_id   TEXT NOT NULL,
    env_type TEXT NOT NULL,
    UNIQUE (org_id, type, class, res_id, env_id, app_id, env_type)
);

CREATE INDEX criteria_by_definition ON criteria (org_id, def_id);

CREATE TABLE deployment (
    id                   TEXT   NOT NULL PRIMARY KEY,
    number               BIGINT NOT NULL, -- 1, 2, ... within the environment
    org_id               TEXT   NOT NULL,
    app_id               TEXT   NOT NULL,
    env_id               TEXT   NOT NULL,
    env_type             TEXT   NOT NULL,
    from_id              TEXT   NOT NULL,
    delta_id             TEXT,
    set_id               TEXT   NOT NULL REFERENCES deployment_set (id),
    value_set_version_id TEXT,
    comment              TEXT   NOT NULL,
    mode                 TEXT   NOT NULL,
    pipeline             TEXT, -- JSON
    status               TEXT   NOT NULL, -- pending, in progress, succeeded, failed
    status_changed_at    BIGINT NOT NULL,
    phase                TEXT   NOT NULL, -- read, match, create, deploy, done
    created_at           BIGINT NOT NULL,
    created_by           TEXT   NOT NULL,
    graph_id             TEXT,
    delivery             TEXT, -- JSON: what the target answered
    lease_owner          TEXT   NOT NULL DEFAULT '',
    lease_epoch          BIGINT NOT NULL DEFAULT 0,
    lease_until          BIGINT NOT NULL DEFAULT 0,
    UNIQUE (org_id, app_id, env_id, number)
);

-- At most one deployment of an environment is under way; a second is answered 409.
CREATE UNIQUE INDEX deployment_under_way ON deployment (org_id, app_id, env_id)
    WHERE status IN ('pending', 'in progress');

CREATE INDEX deployment_to_claim ON deployment (status, lease_until)
    WHERE status IN ('pending', 'in progress');

CREATE TABLE deployment_error (
    deployment_id TEXT   NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    number        BIGINT NOT NULL,
    scope         TEXT   NOT NULL,
    object_id     TEXT   NOT NULL,
    code          TEXT   NOT NULL,
    error_type    TEXT   NOT NULL,
    summary       TEXT   NOT NULL,
    message       TEXT   NOT NULL,
    PRIMARY KEY (deployment_id, number)
);

CREATE TABLE graph (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL,
    app_id     TEXT   NOT NULL,
    env_id     TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    nodes      TEXT   NOT NULL, -- JSON: nodes in provisioning order, as the v1 API shows them
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    UNIQUE (org_id, app_id, env_id, hash)
);

-- The journal: one row for each node of a deployment's graph.
CREATE TABLE node (
    deployment_id TEXT   NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    position      BIGINT NOT NULL, -- in provisioning order
    guresid       TEXT   NOT NULL,
    type          TEXT   NOT NULL,
    class         TEXT   NOT NULL,
    res_id        TEXT   NOT NULL,
    def_id        TEXT   NOT NULL,
    driver_type   TEXT   NOT NULL,
    state         TEXT   NOT NULL, -- pending, running, ready, failed
    attempt       BIGINT NOT NULL,
    key           TEXT   NOT NULL, -- idempotency key of the effect; empty before it starts
    started_at    BIGINT,
    finished_at   BIGINT,
    result        TEXT, -- JSON: outputs, secret references, manifests
    error         TEXT, -- JSON: code, message
    PRIMARY KEY (deployment_id, position)
);

CREATE TABLE active_resource (
    org_id                TEXT   NOT NULL,
    app_id                TEXT   NOT NULL,
    env_id                TEXT   NOT NULL,
    env_type              TEXT   NOT NULL,
    type                  TEXT   NOT NULL,
    class                 TEXT   NOT NULL,
    res_id                TEXT   NOT NULL,
    guresid               TEXT   NOT NULL,
    def_id                TEXT   NOT NULL,
    def_version_id        TEXT   NOT NULL,
    target_def_version_id TEXT,
    criteria_id           TEXT   NOT NULL,
    driver_type           TEXT   NOT NULL,
    driver_account        TEXT   NOT NULL,
    deploy_id             TEXT   NOT NULL,
    resource              TEXT   NOT NULL, -- JSON: plain outputs
    secret_refs           TEXT   NOT NULL, -- JSON: references of secret outputs
    cookie                TEXT   NOT NULL, -- JSON: reference of the driver's cookie; empty without one
    manifests             TEXT   NOT NULL, -- JSON: what belongs in the target as long as it exists
    status                TEXT   NOT NULL, -- pending, active, deleting
    scheduled_deletion    BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL,
    PRIMARY KEY (org_id, app_id, env_id, type, class, res_id)
);

CREATE INDEX active_resource_by_definition ON active_resource (org_id, def_id);

-- How often a resource of this identity was deleted: a new one gets a new GUResID.
CREATE TABLE resource_incarnation (
    org_id TEXT   NOT NULL,
    app_id TEXT   NOT NULL,
    env_id TEXT   NOT NULL,
    type   TEXT   NOT NULL,
    class  TEXT   NOT NULL,
    res_id TEXT   NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (org_id, app_id, env_id, type, class, res_id)
);

-- The local secret store. Plaintexts are sealed before they come here.
CREATE TABLE secret (
    key        TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    digest     BLOB   NOT NULL, -- keyed digest of the plaintext: an equal value makes no new version
    sealed     BLOB   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (key, version)
);
