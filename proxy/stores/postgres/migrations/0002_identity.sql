-- Keys, scopes and the log of what was done to them. A document is what was written, without
-- defaults; `seq` is the number of the row's last entry in the log. Deleted rows stay.
CREATE TABLE keys (
    id          text        PRIMARY KEY,         -- In the order of their making.
    hash        bytea       NOT NULL UNIQUE,     -- SHA-256. The key itself is nowhere.
    old_hash    bytea,                           -- Of the key before the last rotation,
    old_until   timestamptz,                     -- which works until then.
    document    jsonb       NOT NULL,
    version     integer     NOT NULL,
    seq         bigint      NOT NULL,
    created     timestamptz NOT NULL,
    changed     timestamptz NOT NULL,
    deleted     timestamptz,
    name        text        NOT NULL GENERATED ALWAYS AS (document ->> 'name') STORED,
    team        text        GENERATED ALWAYS AS (document ->> 'team') STORED,
    user_id     text        GENERATED ALWAYS AS (document ->> 'user') STORED,
    project     text        GENERATED ALWAYS AS (document ->> 'project') STORED,
    CHECK (length(hash) = 32 AND length(old_hash) = 32)
);

CREATE UNIQUE INDEX keys_living_name ON keys (name) WHERE deleted IS NULL;
CREATE INDEX keys_old_hash ON keys (old_hash) WHERE old_hash IS NOT NULL;
CREATE INDEX keys_seq ON keys (seq);
CREATE INDEX keys_living ON keys (id) WHERE deleted IS NULL;
CREATE INDEX keys_deleted ON keys (id) WHERE deleted IS NOT NULL;
CREATE INDEX keys_team ON keys (team, id) WHERE deleted IS NULL;
CREATE INDEX keys_user ON keys (user_id, id) WHERE deleted IS NULL;
CREATE INDEX keys_project ON keys (project, id) WHERE deleted IS NULL;

CREATE TABLE scopes (
    kind        text        NOT NULL,
    name        text        NOT NULL,            -- '' for `global`.
    document    jsonb       NOT NULL,
    version     integer     NOT NULL,
    seq         bigint      NOT NULL,
    created     timestamptz NOT NULL,
    changed     timestamptz NOT NULL,
    deleted     timestamptz,
    PRIMARY KEY (kind, name)
);

CREATE INDEX scopes_seq ON scopes (seq);
CREATE INDEX scopes_living ON scopes (kind, name) WHERE deleted IS NULL;

-- Each entry has the hash of the one before it, so that none can be changed, added in between or
-- left out unseen. `before` and `after` are json, not jsonb: they are read as they were written.
CREATE TABLE audit (
    seq         bigint      PRIMARY KEY,         -- 1, 2, 3 ... without gaps.
    at          timestamptz NOT NULL,
    actor       text        NOT NULL,
    address     text        NOT NULL,
    action      text        NOT NULL,
    kind        text        NOT NULL,
    id          text        NOT NULL,
    before      json,
    after       json,
    previous    bytea       NOT NULL,
    hash        bytea       NOT NULL
);

CREATE INDEX audit_about ON audit (id, seq);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- Rotations that may be asked for again. The seed alone makes no key: see docs/admin.md.
CREATE TABLE key_rotations (
    key_id      text        NOT NULL REFERENCES keys,
    token       bytea       NOT NULL,            -- SHA-256 of the idempotency key.
    request     text        NOT NULL,
    seed        bytea       NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (key_id, token)
);

CREATE INDEX key_rotations_at ON key_rotations (at);
