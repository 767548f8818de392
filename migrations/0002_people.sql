-- For people: keys and sessions, totals that need no counting, searches that need no scan.

-- Keys are kept as SHA-256: 256 random bits need no slow hash. The prefix is what a person sees.
CREATE TABLE api_key (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL,
    prefix       text        NOT NULL,
    hash         bytea       NOT NULL,
    role         text        NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    revoked_by   text,
    CONSTRAINT api_key_hash UNIQUE (hash),
    CONSTRAINT api_key_role CHECK (role IN ('ingest', 'viewer', 'operator', 'admin'))
);

-- A person who is signed in. The cookie's secret is kept as its SHA-256.
CREATE TABLE session (
    hash       bytea PRIMARY KEY,
    -- NULL: the admin key of the settings, whose digest is noted, so that another key ends it.
    key_id     bigint REFERENCES api_key (id),
    bootstrap  bytea,
    csrf       text        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT session_key CHECK ((key_id IS NULL) <> (bootstrap IS NULL))
);
CREATE INDEX session_expires ON session (expires_at);

-- Signs cookies; drawn once. (A UUID of version 4 holds 122 random bits.)
CREATE TABLE session_secret (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret text NOT NULL
);
INSERT INTO session_secret (secret) VALUES (gen_random_uuid()::text || gen_random_uuid()::text);

-- The trace that the sender gave (W3C Trace Context).
ALTER TABLE event ADD COLUMN traceparent text;
-- Which rows carry an e-mail address: the first eight bytes of its SHA-256. A table of its own, since
-- each settle of a row would touch a random page of such an index over `sync_queue`.
CREATE TABLE row_email (
    row_id     bigint PRIMARY KEY,
    email_hash bigint NOT NULL
);
CREATE INDEX row_email_hash ON row_email (email_hash, row_id);

CREATE INDEX event_type ON event (type, no);
CREATE INDEX sync_queue_waiting ON sync_queue (id) WHERE status IN ('pending', 'retry');
CREATE INDEX sync_queue_retried ON sync_queue (retried_at, id) WHERE retried_at IS NOT NULL;
CREATE INDEX sync_queue_discarded ON sync_queue (discarded_at, id) WHERE discarded_at IS NOT NULL;
CREATE INDEX sync_queue_error ON sync_queue (error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX sync_queue_error_words ON sync_queue USING gin (to_tsvector('simple', error_message))
    WHERE status = 'failed';
CREATE INDEX crm_association_unmade ON crm_association (target_id)
    WHERE made_to IS NULL AND target_id IS NOT NULL;
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_reveal ON audit (target, actor, at) WHERE action = 'reveal';

-- How many rows of a kind have a status, as differences: each statement adds its own, so that
-- nobody waits for anybody, and the janitor folds them. The sums are exact at every commit.
CREATE TABLE tally (
    no        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync_type text        NOT NULL,
    -- One of the stored statuses, or `discarded`.
    status    text        NOT NULL,
    rows      bigint      NOT NULL,
    -- The newest end of a row among them.
    last_at   timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- What ended when, and how long it took: differences likewise, folded into longer spans with age.
CREATE TABLE pulse (
    no        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The start of its span: ten seconds, later a minute, later a quarter of an hour.
    at        timestamptz NOT NULL,
    sync_type text        NOT NULL,
    outcome   text        NOT NULL,
    -- How often it has been folded: 0 ten seconds, 1 a minute, 2 a quarter of an hour.
    fold      smallint    NOT NULL DEFAULT 0,
    -- The time from acceptance to the end is 2^(bucket / 4) milliseconds.
    bucket    smallint    NOT NULL,
    rows      bigint      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX pulse_at ON pulse (at);
CREATE INDEX pulse_fold ON pulse (fold, at) WHERE fold < 2;

CREATE FUNCTION tally_inserts() RETURNS trigger LANGUAGE plpgsql
-- Transition tables have no index, whatever the statement's own plan goes by; the records have one,
-- and LIMIT 1 keeps the planner to it.
SET enable_hashjoin = on SET enable_seqscan = on AS $$
BEGIN
    INSERT INTO tally (sync_type, status, rows, last_at)
    SELECT r.sync_type, n.status, count(*), max(n.processed_at)
    FROM new_rows n
    CROSS JOIN LATERAL (SELECT sync_type FROM crm_record WHERE id = n.record_id LIMIT 1) AS r
    GROUP BY 1, 2;
    RETURN NULL;
END $$;

CREATE FUNCTION tally_updates() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = on SET enable_seqscan = on AS $$
BEGIN
    WITH moved AS (
        SELECT r.sync_type, n.created_at, n.processed_at,
               CASE WHEN o.discarded_at IS NULL THEN o.status ELSE 'discarded' END AS before,
               CASE WHEN n.discarded_at IS NULL THEN n.status ELSE 'discarded' END AS after
        FROM new_rows n
        JOIN old_rows o ON o.id = n.id
        CROSS JOIN LATERAL (SELECT sync_type FROM crm_record WHERE id = n.record_id LIMIT 1) AS r
        WHERE n.status <> o.status OR (n.discarded_at IS NULL) <> (o.discarded_at IS NULL)
    ), ended AS (
        INSERT INTO pulse (at, sync_type, outcome, bucket, rows)
        SELECT date_bin('10 seconds', processed_at, 'epoch'), sync_type, after,
               LEAST(round(4 * ln(GREATEST(
                   extract(epoch FROM processed_at - created_at)::float8 * 1000, 1)) / ln(2::float8)), 200)::smallint,
               count(*)
        FROM moved WHERE after IN ('synced', 'failed') AND processed_at IS NOT NULL
                     AND before <> 'discarded'
        GROUP BY 1, 2, 3, 4
    )
    INSERT INTO tally (sync_type, status, rows, last_at)
    SELECT sync_type, status, sum(n), max(at) FROM (
        SELECT sync_type, before AS status, -1 AS n, NULL::timestamptz AS at FROM moved
        UNION ALL
        SELECT sync_type, after, 1, processed_at FROM moved) AS d
    GROUP BY 1, 2;
    RETURN NULL;
END $$;

CREATE FUNCTION tally_deletes() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = on SET enable_seqscan = on AS $$
BEGIN
    INSERT INTO tally (sync_type, status, rows)
    SELECT r.sync_type, CASE WHEN o.discarded_at IS NULL THEN o.status ELSE 'discarded' END, -count(*)
    FROM old_rows o
    CROSS JOIN LATERAL (SELECT sync_type FROM crm_record WHERE id = o.record_id LIMIT 1) AS r
    GROUP BY 1, 2;
    RETURN NULL;
END $$;

CREATE TRIGGER sync_queue_inserts AFTER INSERT ON sync_queue
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tally_inserts();
CREATE TRIGGER sync_queue_updates AFTER UPDATE ON sync_queue
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tally_updates();
CREATE TRIGGER sync_queue_deletes AFTER DELETE ON sync_queue
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tally_deletes();

-- The first row that was accepted at this time or later. Rows are accepted in the order of their
-- numbers, but for transactions that overlap, so halving finds it without an index on the time.
CREATE FUNCTION first_row_since(wanted timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint := 0;
    high bigint;
    middle record;
BEGIN
    SELECT COALESCE(max(id), 0) + 1 INTO high FROM sync_queue;
    WHILE low < high LOOP
        SELECT id, created_at INTO middle FROM sync_queue
        WHERE id >= low + (high - low) / 2 ORDER BY id LIMIT 1;
        IF NOT FOUND OR middle.created_at >= wanted THEN
            high := low + (high - low) / 2;
        ELSE
            low := middle.id + 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- What was there before is counted once.
INSERT INTO tally (sync_type, status, rows, last_at)
SELECT r.sync_type, CASE WHEN q.discarded_at IS NULL THEN q.status ELSE 'discarded' END, count(*),
       max(q.processed_at)
FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
GROUP BY 1, 2;

-- The object kinds that there are records of: a jump through the index a kind.
CREATE VIEW known_kind AS
WITH RECURSIVE kind (portal, sync_type) AS (
    SELECT p.portal, (SELECT min(r.sync_type) FROM crm_record r WHERE r.portal = p.portal)
    FROM crm_portal p
    UNION ALL
    SELECT k.portal, (SELECT min(r.sync_type) FROM crm_record r
                      WHERE r.portal = k.portal AND r.sync_type > k.sync_type)
    FROM kind k WHERE k.sync_type IS NOT NULL)
SELECT portal, sync_type FROM kind WHERE sync_type IS NOT NULL;

DROP VIEW sync_queue_view;
CREATE VIEW sync_queue_view AS
SELECT q.id, e.id AS event_id, e.source AS event_source, e.type AS event_type, e.occurred_at,
       e.traceparent, r.portal, r.sync_type, r.external_id, q.record_id, q.event_no, q.operation,
       CASE WHEN q.status IN ('pending', 'retry') AND r.lease_token IS NOT NULL
                 AND q.created_at <= r.leased_at THEN 'processing'
            ELSE q.status END AS status,
       -- The stored status, which indexes know, and whether its record is leased for it.
       q.status AS kept, r.lease_token IS NOT NULL AND q.created_at <= r.leased_at AS taken, q.written,
       q.priority, q.retry_count, q.created_at,
       CASE WHEN q.status IN ('pending', 'retry')
            THEN COALESCE(r.due_at, r.leased_at, q.created_at) END AS scheduled_at,
       q.processed_at, q.call_id, q.error_code, q.error_property, q.error_message, q.error_hint,
       q.error_correlation_id, q.error_http_status, q.warnings, q.discarded_at,
       q.retried_at, r.waiting_reason, r.lease_token IS NOT NULL AS leased, r.erased_at IS NOT NULL AS erased
FROM sync_queue q
JOIN crm_record r ON r.id = q.record_id
JOIN event e ON e.no = q.event_no;
