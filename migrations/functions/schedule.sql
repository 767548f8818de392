-- Decides when a record is due, and for which call. The plans use indexes. They are made once,
-- perhaps while a table is still empty, and must still work when the table has millions of rows.

-- Sets due time, stage and rank of those of `records` that are not leased. The caller must have
-- locked them. No other code decides this: see ARCHITECTURE.md. The function is in PL/pgSQL, which
-- keeps its plan in the session; a function in plain SQL would be planned at every call. It is for
-- callers that already force index plans, because settings of its own would cost more than the
-- function itself. `schedule` sets them first.
CREATE OR REPLACE FUNCTION schedule_here(records bigint[], now_ timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH next AS MATERIALIZED (
        SELECT r.id,
               CASE WHEN o.erases THEN 'erase'
                    WHEN o.archives THEN 'archive'
                    WHEN (o.unwritten OR d.doubtful) AND r.hubspot_id IS NOT NULL
                         AND (r.lookup IS NULL OR r.lookup NOT IN ('id', 'email')) THEN 'update'
                    WHEN (o.unwritten OR d.doubtful)
                         AND r.lookup IN ('id', 'email', 'email_first', 'key') THEN 'resolve'
                    WHEN o.unwritten OR d.doubtful THEN 'create'
                    WHEN d.haunted OR (r.lookup = 'delete_again' AND r.hubspot_id IS NOT NULL)
                         THEN CASE WHEN r.erased_at IS NULL THEN 'archive' ELSE 'erase' END
                    -- LIMIT and not EXISTS, so that the planner never reads what all records owe.
                    WHEN (SELECT true FROM association_owed a WHERE a.record_id = r.id LIMIT 1)
                         THEN 'associate' END AS stage,
               COALESCE(o.first_rank, (
                   SELECT min(q.rank) FROM sync_queue q
                   WHERE q.record_id = r.id AND q.status IN ('pending', 'retry') AND q.written),
                   now_) AS rank,
               GREATEST(r.backoff_until, r.waiting_until) AS later
        FROM crm_record r
        CROSS JOIN LATERAL (
            SELECT r.doubt <> 0 AND (r.hubspot_id IS NOT NULL OR r.accepted <> '{}') AS doubtful,
                   -- A late call may have created the record again.
                   r.doubt <> 0 AND r.hubspot_id IS NULL AND r.accepted = '{}'
                       AND r.tombstone_at IS NOT NULL AND r.alias_of IS NULL AS haunted) d
        CROSS JOIN LATERAL (
            -- Only the rows that the next call takes. Otherwise each new row of a record with a
            -- hundred thousand rows would read all of them.
            SELECT min(rank) AS first_rank, count(*) > 0 AS unwritten,
                   bool_or(operation = 'archive') AS archives,
                   bool_or(operation = 'erase') AS erases
            FROM (SELECT q.rank, q.operation FROM sync_queue q
                  WHERE q.record_id = r.id AND q.status IN ('pending', 'retry') AND NOT q.written
                  ORDER BY (q.operation = 'upsert'), q.id LIMIT 1000) AS n) o
        WHERE r.id = ANY(records) AND r.lease_token IS NULL
    ), wanted AS (
        SELECT id, stage, CASE WHEN stage IS NOT NULL THEN rank END AS rank,
               CASE WHEN stage IS NOT NULL THEN GREATEST(later, now_) END AS due_at,
               stage IS NOT NULL AND COALESCE(later > now_, false) AS deferred
        FROM next
    )
    UPDATE crm_record r
    SET stage = w.stage, rank = w.rank, due_at = w.due_at, deferred = w.deferred
    FROM wanted w
    WHERE w.id = r.id
      -- A record whose values do not change is not updated, which saves a row version.
      AND ((r.stage, r.rank, r.deferred) IS DISTINCT FROM (w.stage, w.rank, w.deferred)
           OR (w.deferred AND r.due_at <> w.due_at)
           OR (r.due_at IS NULL) <> (w.due_at IS NULL));
END $$;

-- The same for all other callers: sets the planner options first.
CREATE OR REPLACE FUNCTION schedule(records bigint[], now_ timestamptz) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    PERFORM schedule_here(records, now_);
END $$;
