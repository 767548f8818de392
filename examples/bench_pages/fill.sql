-- A queue as it may be after a month: {rows} rows over {records} records. By sets, so that it takes a
-- minute.
SET session_replication_role = replica;
SET synchronous_commit = off;

CREATE TEMP TABLE kind (n int, sync_type text, entity text, verbs text[]);
INSERT INTO kind VALUES
    (0, 'contact', 'user', '{updated,created,activated}'),
    (1, 'company', 'business', '{updated,created,verified}'),
    (2, 'deal', 'milestone', '{updated,created,completed}'),
    (3, 'ticket', 'dispute', '{updated,created,resolved}');

-- Six of ten records are contacts; a record has five rows on average, some have many more.
CREATE TEMP TABLE owner AS
SELECT s.id, k.sync_type, k.entity, k.verbs, left(k.entity, 1) || '-' || s.id AS external_id
FROM generate_series(1, {records}) s (id)
JOIN kind k ON k.n = CASE WHEN s.id % 10 < 6 THEN 0 WHEN s.id % 10 < 7 THEN 1
                          WHEN s.id % 10 < 9 THEN 2 ELSE 3 END;

-- The newest twentieth waits; of the others four in a hundred failed, and some are retried.
CREATE TEMP TABLE line AS
SELECT n, h, 1 + (n::bigint * 7919 % {records}) AS record_id,
       now() - interval '30 days' * (({rows} - n)::float8 / {rows}) AS at,
       CASE WHEN n > {rows} * 0.95 THEN 'pending'
            WHEN h < 42 THEN 'failed'
            WHEN n > {rows} * 0.75 AND h >= 950 THEN 'retry'
            ELSE 'synced' END AS status,
       CASE WHEN h % 50 = 0 THEN 0 WHEN h % 5 = 0 THEN 2 ELSE 1 END AS priority
FROM generate_series(1, {rows}) n
-- Dice that fall the same each time.
CROSS JOIN LATERAL (SELECT (hashint8(n) & 1048575) % 1000 AS h) d;

INSERT INTO event (no, portal, source, id, type, subject, occurred_at, data, hash, received_at,
    row_ids)
OVERRIDING SYSTEM VALUE
SELECT l.n, 'default', 'bench', 'evt-' || l.n,
       o.entity || '.' || o.verbs[CASE WHEN l.h % 20 = 7 THEN 3 WHEN l.h % 6 = 1 THEN 2 ELSE 1 END],
       o.external_id, l.at,
       jsonb_build_object('email', 'person' || o.id || '@example.com', 'first_name', 'Marie',
           'last_name', 'Dupont ' || o.id, 'phone', '+33612345678', 'note', repeat('x', l.n % 400)),
       sha256(('evt-' || l.n)::bytea), l.at, ARRAY[l.n]
FROM line l JOIN owner o ON o.id = l.record_id;

INSERT INTO crm_record (id, portal, sync_type, external_id, hubspot_id, accepted, created_at, synced_at)
OVERRIDING SYSTEM VALUE
SELECT o.id, 'default', o.sync_type, o.external_id, (90000000 + o.id)::text,
       jsonb_build_object('email', jsonb_build_array('person' || o.id || '@example.com', now(), o.id),
           'firstname', jsonb_build_array('Marie', now(), o.id),
           'lastname', jsonb_build_array('Dupont ' || o.id, now(), o.id),
           'hubferry_id', jsonb_build_array(o.external_id, now(), o.id)),
       now() - interval '30 days', now()
FROM owner o;

INSERT INTO sync_queue (id, portal, event_no, record_id, output, operation, status, priority, retry_count, created_at,
    rank, processed_at, call_id, error_code, error_property, error_message, error_hint,
    error_correlation_id, error_http_status)
OVERRIDING SYSTEM VALUE
SELECT l.n, 'default', l.n, l.record_id, o.sync_type, 'upsert', l.status, l.priority,
       CASE l.status WHEN 'failed' THEN 3 WHEN 'retry' THEN 1 ELSE 0 END, l.at, l.at,
       CASE WHEN l.status IN ('synced', 'failed') THEN l.at + interval '2 seconds' END,
       1 + l.n / 50, e.code, e.property, e.message, e.hint, e.correlation, e.http
FROM line l
JOIN owner o ON o.id = l.record_id
LEFT JOIN LATERAL (
    -- Some twenty codes, the first ones far more often than the last.
    SELECT (ARRAY['INVALID_EMAIL', 'INVALID_OPTION', 'TIMEOUT', 'CONFLICT', 'PROPERTY_DOESNT_EXIST',
                  'HTTP_500', 'HTTP_502', 'HTTP_503', 'INVALID_LONG', 'INVALID_DATE', 'REQUIRED_FIELD',
                  'UNANSWERED', 'CONNECTION_LOST', 'CONNECTION_REFUSED', 'BROKEN_REPLY',
                  'SLOT_NOT_DECLARED', 'WAITED_TOO_LONG', 'SUBJECT_ERASED', 'NOT_FOUND',
                  'VALIDATION_ERROR'])[1 + floor(20 * power((l.n * 31 % 997) / 997.0, 3))::int] AS code,
           CASE WHEN l.n % 3 = 0 THEN 'email' END AS property,
           'HubSpot refused the value of a property: it is not what its definition allows' AS message,
           'correct the value in the application and send the event again' AS hint,
           md5(l.n::text) AS correlation, 400 AS http
    WHERE l.status IN ('failed', 'retry')) e ON true;

INSERT INTO attempt (portal, row_id, call_id, attempted_at, class, code, property, message, http_status)
SELECT 'default', q.id, q.call_id, q.created_at + t * interval '1 minute', 'transient', q.error_code,
       q.error_property, q.error_message, 500
FROM sync_queue q CROSS JOIN generate_series(1, 4) t
WHERE q.status IN ('failed', 'retry') AND t <= q.retry_count + 1;

INSERT INTO hubspot_call (id, portal, holder, reserved_at, free_at, purpose, sync_type, inputs,
    replied_at, duration_ms, http_status, class, correlation_id)
OVERRIDING SYSTEM VALUE
SELECT n, 'default', 'bench', at, at + interval '10 seconds', 'upsert contacts', 'contact', 50, at,
       100 + n % 300, CASE WHEN n % 40 = 0 THEN 500 ELSE 200 END,
       CASE WHEN n % 40 = 0 THEN 'unavailable' ELSE 'ok' END, md5(n::text)
FROM (SELECT n, now() - interval '30 days' * (1 - n::float8 / ({rows} / 50 + 1)) - interval '20 seconds' AS at
      FROM generate_series(1, {rows} / 50 + 1) n) c;

INSERT INTO crm_association (record_id, slot, target_id, set_at, set_by, made_target_id, made_from, made_to)
SELECT o.id, 'business', t.id, now(), o.id, t.id, (90000000 + o.id)::text, (90000000 + t.id)::text
FROM owner o
JOIN owner t ON t.id = o.id - o.id % 10 + 6 AND t.sync_type = 'company'
WHERE o.sync_type = 'contact';

UPDATE crm_record r
SET stage = 'update', rank = w.first, due_at = CASE WHEN w.retries THEN now() + interval '1 hour' ELSE w.first END,
    deferred = w.retries, failures = CASE WHEN w.retries THEN 1 ELSE 0 END
FROM (SELECT record_id, min(created_at) AS first, bool_or(status = 'retry') AS retries
      FROM sync_queue WHERE status IN ('pending', 'retry') GROUP BY record_id) w
WHERE w.record_id = r.id;

-- The triggers slept: what they would have noted.
INSERT INTO row_email (email_hash, row_id)
SELECT hashint8(q.record_id)::bigint, q.id FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
WHERE r.sync_type = 'contact' AND q.id % 3 = 0;
INSERT INTO tally (portal, sync_type, status, rows, last_at)
SELECT 'default', r.sync_type, q.status, count(*), max(q.processed_at)
FROM sync_queue q JOIN crm_record r ON r.id = q.record_id GROUP BY 1, 2, 3;
INSERT INTO pulse (portal, at, sync_type, outcome, bucket, rows, fold)
SELECT 'default', date_bin('15 minutes', q.processed_at, 'epoch'), r.sync_type, q.status, 44 + (q.id % 8)::int, count(*), 2
FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
WHERE q.processed_at > now() - interval '8 days' GROUP BY 1, 2, 3, 4, 5;
INSERT INTO audit (portal, at, actor, action, target, details)
SELECT 'default', now() - n * interval '1 minute', 'admin key', 'retry', n::text, '{"rows": 1}'
FROM generate_series(1, 10000) n;

SELECT setval(pg_get_serial_sequence(t, c), {rows} + 1)
FROM (VALUES ('event', 'no'), ('crm_record', 'id'), ('sync_queue', 'id'), ('hubspot_call', 'id')) s (t, c);
RESET session_replication_role;
ANALYZE;
