-- Thresholds of budgets that were passed, each once per window, whoever finds it first.
CREATE TABLE alerts (
    id              text        PRIMARY KEY,
    kind            text        NOT NULL,
    name            text        NOT NULL,
    rule            text        NOT NULL,        -- Such as `budget per month`.
    window_start    timestamptz NOT NULL,
    window_end      timestamptz NOT NULL,        -- Of the year 9999 for `total`.
    percent         integer     NOT NULL,
    body            bytea       NOT NULL,        -- What is sent, byte for byte.
    created         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, name, rule, window_start, percent)
);

CREATE INDEX alerts_window_end ON alerts (window_end);

-- One row for each receiver that there was when the alert was found. It is over when `next_try` is
-- NULL; then it was sent or given up.
CREATE TABLE alert_deliveries (
    alert       text        NOT NULL REFERENCES alerts ON DELETE CASCADE,
    receiver    text        NOT NULL,            -- SHA-256 of its URL.
    attempts    integer     NOT NULL DEFAULT 0,
    next_try    timestamptz DEFAULT now(),
    sent_at     timestamptz,
    given_up_at timestamptz,
    last_error  text,
    PRIMARY KEY (alert, receiver)
);

CREATE INDEX alert_deliveries_due ON alert_deliveries (receiver, next_try)
    WHERE next_try IS NOT NULL;
