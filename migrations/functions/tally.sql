-- Maintains `tally` and `pulse`, with triggers on the statements that change rows.

CREATE OR REPLACE FUNCTION tally_inserts() RETURNS trigger LANGUAGE plpgsql
-- Transition tables have no index, whatever plan the statement itself uses. The records have one,
-- and LIMIT 1 makes the planner use it.
SET enable_hashjoin = on SET enable_seqscan = on AS $$
BEGIN
    INSERT INTO tally (portal, sync_type, status, rows, last_at)
    SELECT n.portal, r.sync_type, n.status, count(*), max(n.processed_at)
    FROM new_rows n
    CROSS JOIN LATERAL (SELECT sync_type FROM crm_record WHERE id = n.record_id LIMIT 1) AS r
    GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tally_updates() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = on SET enable_seqscan = on AS $$
BEGIN
    WITH moved AS (
        SELECT n.portal, r.sync_type, n.created_at, n.processed_at,
               CASE WHEN o.discarded_at IS NULL THEN o.status ELSE 'discarded' END AS before,
               CASE WHEN n.discarded_at IS NULL THEN n.status ELSE 'discarded' END AS after
        FROM new_rows n
        JOIN old_rows o ON o.id = n.id
        CROSS JOIN LATERAL (SELECT sync_type FROM crm_record WHERE id = n.record_id LIMIT 1) AS r
        WHERE n.status <> o.status OR (n.discarded_at IS NULL) <> (o.discarded_at IS NULL)
    ), ended AS (
        INSERT INTO pulse (portal, at, sync_type, outcome, bucket, rows)
        SELECT portal, date_bin('10 seconds', processed_at, 'epoch'), sync_type, after,
               LEAST(round(4 * ln(GREATEST(
                   extract(epoch FROM processed_at - created_at)::float8 * 1000, 1)) / ln(2::float8)), 200)::smallint,
               count(*)
        FROM moved WHERE after IN ('synced', 'failed') AND processed_at IS NOT NULL
                     AND before <> 'discarded'
        GROUP BY 1, 2, 3, 4, 5
    )
    INSERT INTO tally (portal, sync_type, status, rows, last_at)
    SELECT portal, sync_type, status, sum(n), max(at) FROM (
        SELECT portal, sync_type, before AS status, -1 AS n, NULL::timestamptz AS at FROM moved
        UNION ALL
        SELECT portal, sync_type, after, 1, processed_at FROM moved) AS d
    GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tally_deletes() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = on SET enable_seqscan = on AS $$
BEGIN
    INSERT INTO tally (portal, sync_type, status, rows)
    SELECT o.portal, r.sync_type, CASE WHEN o.discarded_at IS NULL THEN o.status ELSE 'discarded' END, -count(*)
    FROM old_rows o
    CROSS JOIN LATERAL (SELECT sync_type FROM crm_record WHERE id = o.record_id LIMIT 1) AS r
    GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER sync_queue_inserts AFTER INSERT ON sync_queue
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tally_inserts();
CREATE OR REPLACE TRIGGER sync_queue_updates AFTER UPDATE ON sync_queue
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tally_updates();
CREATE OR REPLACE TRIGGER sync_queue_deletes AFTER DELETE ON sync_queue
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tally_deletes();
