-- Usage records as they were written, one row per request, a partition per day (UTC).
-- Durations are microseconds since `at`; money is nano-USD. A text that is not known is ''.
CREATE TABLE usage (
    at              timestamptz NOT NULL,
    id              text        NOT NULL,
    worker          text        NOT NULL,
    config          text        NOT NULL,
    operation       text        NOT NULL,
    outcome         text        NOT NULL,
    status          integer     NOT NULL,
    error           text        NOT NULL,
    code            text        NOT NULL,
    key             text        NOT NULL,
    team            text        NOT NULL,
    user_id         text        NOT NULL,  -- `user` alone is the database's user in SQL.
    project         text        NOT NULL,
    customer        text        NOT NULL,
    agent           text        NOT NULL,
    session         text        NOT NULL,
    tags            text[]      NOT NULL,
    model           text        NOT NULL,  -- Asked for.
    route           text        NOT NULL,
    rule            text        NOT NULL,
    served_provider text        NOT NULL,
    served_model    text        NOT NULL,
    stream          boolean     NOT NULL,
    cache           text        NOT NULL,
    bytes_in        bigint      NOT NULL,
    bytes_out       bigint      NOT NULL,
    arrived_us      bigint      NOT NULL,
    admitted_us     bigint,
    first_token_us  bigint,
    done_us         bigint      NOT NULL,
    overhead_us     bigint,
    input_tokens        bigint  NOT NULL,
    output_tokens       bigint  NOT NULL,
    cached_read_tokens  bigint  NOT NULL,
    cache_write_tokens  bigint  NOT NULL,
    reasoning_tokens    bigint  NOT NULL,
    audio_in_tokens     bigint  NOT NULL,
    audio_out_tokens    bigint  NOT NULL,
    images              bigint  NOT NULL,
    usage_source    text        NOT NULL,
    cost            bigint,                -- NULL: no price is known.
    unpriced        boolean     NOT NULL,
    prices          text        NOT NULL,
    attempts        jsonb       NOT NULL,
    trace           text        NOT NULL,
    span            text        NOT NULL,
    parent          text        NOT NULL,
    sampled         boolean     NOT NULL,
    content_input   text,
    content_output  text,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);

-- What reports read. A request counts in the row of its hour and of all it belongs to.
--
-- Tags: a request with several tags counts in one row per tag, and the row of its first tag (or of
-- '' when it has none) has `tag_first`. Totals are summed over rows with tag_first; figures by tag
-- over all rows; so nothing is counted twice either way.
--
-- Attempts: `requests`, outcomes, durations and bytes count where the answer came from; tokens,
-- cost and `attempts` where each attempt was made. `model` is the vendor's, else the route's name,
-- else '': never what a caller made up.
CREATE TABLE usage_hourly (
    hour            timestamptz NOT NULL,
    slot            bytea       NOT NULL,  -- A digest of the names below and tag_first.
    tag_first       boolean     NOT NULL,
    key             text        NOT NULL,
    team            text        NOT NULL,
    user_id         text        NOT NULL,
    project         text        NOT NULL,
    tag             text        NOT NULL,
    model           text        NOT NULL,
    provider        text        NOT NULL,
    operation       text        NOT NULL,
    requests        bigint      NOT NULL,
    completed       bigint      NOT NULL,
    failed          bigint      NOT NULL,
    refused         bigint      NOT NULL,
    cut             bigint      NOT NULL,
    gone            bigint      NOT NULL,
    cached          bigint      NOT NULL,
    unpriced        bigint      NOT NULL,
    streams         bigint      NOT NULL,
    attempts        bigint      NOT NULL,
    input_tokens        bigint  NOT NULL,
    output_tokens       bigint  NOT NULL,
    cached_read_tokens  bigint  NOT NULL,
    cache_write_tokens  bigint  NOT NULL,
    reasoning_tokens    bigint  NOT NULL,
    audio_in_tokens     bigint  NOT NULL,
    audio_out_tokens    bigint  NOT NULL,
    images              bigint  NOT NULL,
    cost                bigint  NOT NULL,
    cost_input          bigint  NOT NULL,
    cost_cached_read    bigint  NOT NULL,
    cost_cache_write    bigint  NOT NULL,
    cost_output         bigint  NOT NULL,
    cost_reasoning      bigint  NOT NULL,
    cost_audio_in       bigint  NOT NULL,
    cost_audio_out      bigint  NOT NULL,
    cost_images         bigint  NOT NULL,
    cost_request        bigint  NOT NULL,
    duration_us     bigint      NOT NULL,
    first_token_us  bigint      NOT NULL,
    first_tokens    bigint      NOT NULL,  -- Requests that had a first token.
    overhead_us     bigint      NOT NULL,
    overheads       bigint      NOT NULL,  -- Requests whose overhead is known.
    bytes_in        bigint      NOT NULL,
    bytes_out       bigint      NOT NULL,
    PRIMARY KEY (hour, slot)
) WITH (fillfactor = 70);                  -- Room for updates within the page.

-- How far each segment of each spool has been shipped; changed with the rows, in one transaction.
CREATE TABLE spool_offsets (
    segment     text        PRIMARY KEY,   -- <id of the spool>/<file name>
    "offset"    bigint      NOT NULL,
    shipped_at  timestamptz NOT NULL DEFAULT now()
);
