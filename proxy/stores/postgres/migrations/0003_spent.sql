-- What was spent by each scope of budgets in each quarter of an hour, nano-USD: what budgets in a
-- worker's memory begin with. Every time zone's day begins with such a quarter. Added to in the
-- transaction of the rows; it stays when these are dropped.
--
-- kind, name: a scope as the rules name it; `key_model` is <key>/<model asked for>. Rows before a
-- time long past are folded into one per scope, of the year 1970: `total` needs no more.
CREATE TABLE spent (
    kind        text        NOT NULL,
    name        text        NOT NULL,            -- At most 300 characters.
    slot        timestamptz NOT NULL,            -- When the attempt was sent, rounded down.
    cost        bigint      NOT NULL,
    PRIMARY KEY (kind, name, slot)
) WITH (fillfactor = 70);                        -- Room for updates within the page.

CREATE INDEX spent_slot ON spent USING brin (slot);

-- What is on record already.
INSERT INTO spent (kind, name, slot, cost)
SELECT s.kind, left(s.name, 300), to_timestamp(floor(extract(epoch FROM a.at) / 900) * 900),
       sum(a.cost)
FROM usage u
CROSS JOIN LATERAL (
    SELECT u.at + coalesce((one ->> 'started')::bigint, 0) * interval '1 microsecond' AS at,
           (one -> 'cost' ->> 'total')::bigint AS cost,
           one ->> 'provider' AS provider
    FROM jsonb_array_elements(u.attempts) AS one
) AS a
CROSS JOIN LATERAL (
    VALUES ('global', ''), ('key', u.key), ('key_model', u.key || '/' || nullif(u.model, '')),
           ('model', nullif(u.route, '')), ('user', nullif(u.user_id, '')),
           ('team', nullif(u.team, '')), ('project', nullif(u.project, '')),
           ('customer', nullif(u.customer, '')), ('agent', nullif(u.agent, '')),
           ('session', nullif(u.session, '')), ('provider', a.provider)
    UNION ALL
    SELECT DISTINCT 'tag', tag FROM unnest(u.tags) AS tag
) AS s (kind, name)
WHERE a.cost > 0 AND s.name IS NOT NULL
GROUP BY 1, 2, 3;

-- Days whose rows are gone: what the roll-up for reports tells of them.
INSERT INTO spent (kind, name, slot, cost)
SELECT s.kind, left(s.name, 300), h.hour, sum(h.cost)
FROM usage_hourly h
CROSS JOIN LATERAL (
    VALUES ('global', '', h.tag_first), ('key', h.key, h.tag_first),
           ('user', nullif(h.user_id, ''), h.tag_first), ('team', nullif(h.team, ''), h.tag_first),
           ('project', nullif(h.project, ''), h.tag_first),
           ('provider', nullif(h.provider, ''), h.tag_first), ('tag', nullif(h.tag, ''), true)
) AS s (kind, name, counts)
WHERE h.hour < coalesce((SELECT date_trunc('day', min(at), 'UTC') FROM usage), 'infinity')
  AND h.cost > 0 AND s.counts AND s.name IS NOT NULL
GROUP BY 1, 2, 3
ON CONFLICT (kind, name, slot) DO UPDATE SET cost = spent.cost + excluded.cost;
