-- Stores events in one round trip. The function forces index plans. Its plans are made once,
-- perhaps while a table is still empty, and must still work when the table has millions of rows.

-- It stores all events or none: the events, their records, and a row for each change. Arrays of one
-- length describe events (no two with the same id and source). Other arrays of one length describe
-- their changes: `places` (from 1) gives the event of each. The changes of an event are adjacent,
-- from its first to its last. The function returns the ids of the rows in the order of the changes,
-- NULL for those of known events, and the places of the known events. An event whose time is NULL
-- is stamped here.
--
-- On failure, DETAIL contains the places of the events that caused it:
-- HF409: an id is known with another body.
-- HF410: the subject was erased.
-- 40001: people merged records at the same moment.
-- 55P03: another transaction has held a lock for longer than `patience_ms`.
CREATE OR REPLACE FUNCTION enqueue(
    in_portal text, now_ timestamptz, ahead interval, patience_ms int,
    sources text[], ids text[], types text[], subjects text[], times timestamptz[], payloads text[],
    hashes bytea[], traces text[], first_changes int[], last_changes int[],
    places int[], outputs text[], kinds text[], externals text[], operations text[],
    priorities smallint[],
    ranks timestamptz[], emails bigint[],
    OUT row_ids bigint[], OUT known int[]
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    nos bigint[];
    fresh bigint;
    own bigint[];
    aliases bigint[];
    -- `own` before aliases are replaced by their survivors.
    whose bigint[];
    -- `own` without the records that are created here.
    found_ids bigint[];
    missing bigint;
    made bigint;
    -- The stamp before the first one.
    stamps timestamptz;
    idle bigint[];
    held record;
    faulty text;
BEGIN
    -- A transaction that holds a record for long must not delay all other events.
    PERFORM set_config('lock_timeout', patience_ms::text, true);
    known := '{}';
    SELECT array_agg(nextval('event_no_seq')) INTO nos FROM generate_series(1, cardinality(ids));
    SELECT array_agg(nextval('sync_queue_id_seq')) INTO row_ids
    FROM generate_series(1, cardinality(places));

    -- Missing records are created before anything is locked, as in a settle, and in the order of
    -- their keys. So a transaction never waits to create a record while it holds other locks. A new
    -- record is due for its creation. `schedule` finds out what else it owes.
    SELECT array_agg(r.id ORDER BY c.n), array_agg(r.alias_of) FILTER (WHERE r.alias_of IS NOT NULL),
           count(*) FILTER (WHERE r.id IS NULL)
    INTO own, aliases, missing
    FROM UNNEST(kinds, externals) WITH ORDINALITY AS c (kind, external_id, n)
    LEFT JOIN LATERAL (
        SELECT id, alias_of FROM crm_record
        WHERE portal = in_portal AND sync_type = c.kind AND external_id = c.external_id
        LIMIT 1) AS r ON true;
    found_ids := own;
    IF missing > 0 THEN
        SELECT array_agg(COALESCE(c.id, nextval('crm_record_id_seq')) ORDER BY c.n) INTO own
        FROM UNNEST(own) WITH ORDINALITY AS c (id, n);
        INSERT INTO crm_record (id, portal, sync_type, external_id, created_at, stage, rank, due_at)
        OVERRIDING SYSTEM VALUE
        SELECT min(c.id), in_portal, c.kind, c.external_id, now_, 'create', min(c.rank), now_
        FROM UNNEST(own, found_ids, kinds, externals, ranks)
             AS c (id, known_id, kind, external_id, rank)
        WHERE c.known_id IS NULL
        -- The order of bytes, as in a settle, whatever the collation of the database.
        GROUP BY c.kind, c.external_id
        ORDER BY c.kind COLLATE "C", c.external_id COLLATE "C"
        ON CONFLICT ON CONSTRAINT crm_record_key DO NOTHING;
        GET DIAGNOSTICS made = ROW_COUNT;
        IF made < missing THEN
            -- Some keys are the same, or another transaction has created the records, so they are
            -- looked up.
            SELECT array_agg(r.id ORDER BY c.n),
                   array_agg(r.alias_of) FILTER (WHERE r.alias_of IS NOT NULL)
            INTO own, aliases
            FROM UNNEST(kinds, externals) WITH ORDINALITY AS c (kind, external_id, n)
            LEFT JOIN LATERAL (
                SELECT id, alias_of FROM crm_record
                WHERE portal = in_portal AND sync_type = c.kind AND external_id = c.external_id
                LIMIT 1) AS r ON true;
            found_ids := own;
        END IF;
    END IF;
    -- No other transaction sees the records that were created here. Only the others are locked, in
    -- the order of their ids.
    SELECT array_agg(r.id) AS ids,
           array_agg(r.id) FILTER (WHERE r.erased_at IS NOT NULL) AS erased,
           array_agg(r.id) FILTER (WHERE r.waiting_until IS NOT NULL) AS waiting,
           -- A further value changes nothing for a record that is already due, and not later than
           -- this.
           array_agg(r.id) FILTER (
               WHERE r.due_at IS NULL OR r.deferred OR r.waiting_until IS NOT NULL
                     OR r.stage NOT IN ('create', 'update', 'resolve')
                     OR r.rank > (SELECT min(k) FROM UNNEST(ranks) AS k)) AS stale,
           bool_or(r.alias_of IS NOT NULL AND r.alias_of <> ALL(COALESCE(aliases, '{}')))
               AS moved
    INTO held
    FROM (SELECT id, alias_of, erased_at, waiting_until, due_at, deferred, stage, rank FROM crm_record
          WHERE id = ANY(found_ids || aliases) ORDER BY id FOR NO KEY UPDATE) AS r;
    IF held.moved THEN
        RAISE EXCEPTION 'records were merged meanwhile' USING ERRCODE = '40001';
    END IF;
    -- The transaction that locks a record later must have the newer stamp. All records of the
    -- request are locked here, so no other transaction can come in between.
    IF array_position(times, NULL) IS NOT NULL THEN
        stamps := draw_stamps(cardinality(ids), ahead) - interval '1 microsecond';
    END IF;

    -- In the order of the keys, so that two requests with the same events wait in the same order.
    INSERT INTO event (no, portal, source, id, type, subject, occurred_at, data, hash, received_at,
                       traceparent, row_ids)
    OVERRIDING SYSTEM VALUE
    SELECT e.no, in_portal, e.source, e.id, e.type, e.subject,
           COALESCE(e.occurred_at, stamps + e.place * interval '1 microsecond'), e.data::jsonb, e.hash,
           now_, e.traceparent, COALESCE(row_ids[e.first_change:e.last_change], '{}')
    FROM UNNEST(nos, sources, ids, types, subjects, times, payloads, hashes, traces, first_changes,
                last_changes) WITH ORDINALITY
         AS e (no, source, id, type, subject, occurred_at, data, hash, traceparent, first_change,
               last_change, place)
    ORDER BY e.id, e.source
    ON CONFLICT ON CONSTRAINT event_key DO NOTHING;
    GET DIAGNOSTICS fresh = ROW_COUNT;
    IF fresh < cardinality(ids) THEN
        SELECT COALESCE(array_agg(k.place), '{}'), string_agg(k.place::text, ',') FILTER (WHERE e.hash <> k.hash)
        INTO known, faulty
        FROM UNNEST(ids, sources, hashes, nos) WITH ORDINALITY AS k (id, source, hash, no, place)
        CROSS JOIN LATERAL (
            SELECT no, hash FROM event WHERE id = k.id AND source = k.source AND portal = in_portal
            LIMIT 1) AS e
        WHERE e.no <> k.no;
        IF faulty IS NOT NULL THEN
            RAISE EXCEPTION 'an id is known with another body' USING ERRCODE = 'HF409', DETAIL = faulty;
        END IF;
        IF fresh + cardinality(known) < cardinality(ids) THEN
            -- Retention deleted an event between the two reads, so the event is new.
            RAISE EXCEPTION 'an event was forgotten meanwhile' USING ERRCODE = '40001';
        END IF;
        SELECT array_agg(CASE WHEN c.place = ANY(known) THEN NULL ELSE c.id END ORDER BY c.n)
        INTO row_ids
        FROM UNNEST(places, row_ids) WITH ORDINALITY AS c (place, id, n);
        -- These records were created for a known event, because the mapping files now give it
        -- another record. They owe nothing.
        idle := CASE WHEN made > 0 THEN own END;
        SELECT array_agg(CASE WHEN c.row_id IS NOT NULL THEN c.record END ORDER BY c.n) INTO own
        FROM UNNEST(own, row_ids) WITH ORDINALITY AS c (record, row_id, n);
    END IF;
    IF fresh = 0 AND idle IS NULL THEN
        RETURN;
    END IF;

    IF held.erased IS NOT NULL THEN
        SELECT string_agg(DISTINCT c.place::text, ',') INTO faulty
        FROM UNNEST(places, own, operations) AS c (place, record, operation)
        WHERE c.operation = 'upsert' AND c.record = ANY(held.erased);
        IF faulty IS NOT NULL THEN
            RAISE EXCEPTION 'a subject was erased' USING ERRCODE = 'HF410', DETAIL = faulty;
        END IF;
    END IF;
    -- The values of an alias go to its survivor. Its delete applies only to the alias itself.
    IF aliases IS NOT NULL THEN
        whose := own;
        SELECT array_agg(CASE WHEN c.operation = 'upsert' THEN COALESCE(r.alias_of, r.id) ELSE r.id END
                         ORDER BY c.n)
        INTO own
        FROM UNNEST(own, operations) WITH ORDINALITY AS c (record, operation, n)
        LEFT JOIN crm_record r ON r.id = c.record;
    END IF;

    INSERT INTO sync_queue (id, portal, event_no, record_id, output, operation, priority, rank,
                            created_at, subject_id)
    OVERRIDING SYSTEM VALUE
    SELECT c.id, in_portal, nos[c.place], c.record, c.output, c.operation, c.priority, c.rank, now_,
           NULLIF(c.subject, c.record)
    FROM UNNEST(row_ids, places, own, outputs, operations, priorities, ranks, whose)
         AS c (id, place, record, output, operation, priority, rank, subject)
    WHERE c.id IS NOT NULL;
    INSERT INTO row_email (email_hash, row_id)
    SELECT c.email, c.id FROM UNNEST(emails, row_ids) AS c (email, id)
    WHERE c.id IS NOT NULL AND c.email IS NOT NULL;

    IF 'erase' = ANY(operations) THEN
        -- An erasure applies from its arrival: later events of the subject are refused.
        UPDATE crm_record SET erased_at = now_
        WHERE erased_at IS NULL AND id IN (
            SELECT c.record FROM UNNEST(own, operations) AS c (record, operation)
            WHERE c.operation = 'erase');
    END IF;
    IF held.waiting IS NOT NULL THEN
        -- A record that waits for what this row may supply need not wait any longer.
        UPDATE crm_record SET waiting_until = NULL, waiting_reason = NULL
        WHERE id = ANY(held.waiting) AND id = ANY(own);
    END IF;
    IF idle IS NOT NULL OR 'archive' = ANY(operations) OR 'erase' = ANY(operations) THEN
        PERFORM schedule_here(own || held.ids || idle, now_);
    ELSIF held.stale IS NOT NULL THEN
        PERFORM schedule_here(held.stale, now_);
    END IF;
END $$;
