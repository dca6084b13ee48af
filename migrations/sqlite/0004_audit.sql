-- What was changed by whom. Written in the transaction of the change itself.

CREATE TABLE audit_entry (
    org_id     TEXT   NOT NULL, -- empty: of no organization
    number     BIGINT NOT NULL, -- 1, 2, ... within the organization, without a gap
    at         BIGINT NOT NULL,
    user_id    TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    method     TEXT   NOT NULL,
    path       TEXT   NOT NULL, -- as it was sent
    status     BIGINT NOT NULL, -- of the answer
    before     TEXT, -- JSON as the API shows the object; none when it was made
    after      TEXT, -- JSON as the API shows the object; none when it is gone
    hash       TEXT   NOT NULL, -- SHA-256 of this entry and the hash of the one before
    PRIMARY KEY (org_id, number)
);

CREATE INDEX audit_entry_by_time ON audit_entry (org_id, at);
