-- Groups of an identity provider are users of the type `group`; their members have their roles.

CREATE TABLE group_member (
    group_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    user_id  TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);

CREATE INDEX group_member_by_user ON group_member (user_id);
