-- The tables. Functions, triggers and views are in `functions/` and `views/`; all of them are
-- created again if one of them differs. `current.sql` shows the result. Times come from Postgres's
-- clock. Every constraint and index has a name, because errors are identified by it.

-- Which functions, triggers and views were created: a digest of their texts.
CREATE TABLE schema_code (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    digest text NOT NULL
);

-- The tables of this part store what is owed to HubSpot and what HubSpot has accepted.

CREATE TABLE crm_portal (
    portal            text PRIMARY KEY,
    -- The HubSpot account that the links belong to. NULL until the first connection.
    hubspot_portal_id bigint,
    time_zone         text        NOT NULL DEFAULT 'UTC',
    -- The ledger of the daily quota: calls reserved since day_started_at (midnight in time_zone).
    day_started_at    timestamptz NOT NULL DEFAULT 'epoch',
    day_used          integer     NOT NULL DEFAULT 0,
    -- What HubSpot's headers said last: the limits, and how much of the window other clients use.
    window_limit      integer,
    day_limit         integer,
    others_used       integer     NOT NULL DEFAULT 0,
    others_until      timestamptz NOT NULL DEFAULT 'epoch'
);
INSERT INTO crm_portal (portal) VALUES ('default');

-- The account's property definitions of an object kind, as a worker has read them. Processes that
-- only serve HTTP read them here.
CREATE TABLE account_definition (
    portal      text        NOT NULL,
    sync_type   text        NOT NULL,
    definitions jsonb       NOT NULL,
    read_at     timestamptz NOT NULL,
    CONSTRAINT account_definition_pkey PRIMARY KEY (portal, sync_type)
);

CREATE TABLE event (
    no          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal      text        NOT NULL,
    source      text        NOT NULL,
    id          text        NOT NULL,
    type        text        NOT NULL,
    -- Empty after an erasure.
    subject     text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    -- NULL after an erasure.
    data        jsonb,
    -- SHA-256 of the canonical JSON as it was sent. NULL after an erasure: then the id alone
    -- identifies a duplicate.
    hash        bytea,
    received_at timestamptz NOT NULL,
    -- The ids of its rows. They are stored here because events are not updated: an index on the
    -- event in `sync_queue` would get a new entry with every version of a row.
    row_ids     bigint[]    NOT NULL,
    -- The trace that the sender gave (W3C Trace Context).
    traceparent text,
    -- The id comes first, because events are also looked up without their source.
    CONSTRAINT event_key UNIQUE (id, source, portal)
);
CREATE INDEX event_type ON event (portal, type, no);

-- One HubSpot record that has properties owned by hubferry. It is updated often, so its pages keep
-- room for HOT updates.
CREATE TABLE crm_record (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal         text        NOT NULL,
    sync_type      text        NOT NULL,
    external_id    text        NOT NULL,
    hubspot_id     text,
    -- property -> [value, event time, row]: the values that HubSpot has accepted, and the row that
    -- supplied each.
    accepted       jsonb       NOT NULL DEFAULT '{}',
    -- The newest delete. Values with this time or an earlier one are void.
    tombstone_at   timestamptz,
    tombstone_row  bigint,
    erased_at      timestamptz,
    -- The token of the last call without a definite verdict. 0 means that HubSpot holds what
    -- accepted says.
    doubt          bigint      NOT NULL DEFAULT 0,
    -- The doubt that a person's resync has set on a record that had none. HubSpot still holds what
    -- accepted says.
    resync_doubt   bigint,
    -- The number of transient failures in a row. It determines the step of the backoff.
    failures       integer     NOT NULL DEFAULT 0,
    backoff_until  timestamptz,
    -- The record cannot be created yet. It is due at this deadline, or when another row arrives.
    waiting_until  timestamptz,
    waiting_reason text,
    -- Set if people merged it in HubSpot into the HubSpot record of another record (the survivor).
    -- All of its data belongs to the survivor then.
    alias_of       bigint REFERENCES crm_record (id),
    -- Used only by records that share a HubSpot record: the survivor and its aliases. It contains
    -- the newest values that the record's own events supplied, as {"properties": {name: [value,
    -- time, row]}, "slots": {slot: [target, time, row]}}. `accepted` of the survivor has the newest
    -- values of all of them.
    brought        jsonb,
    -- The last link, if HubSpot no longer knows it. A HubSpot record that lists this link among the
    -- records merged into it belongs to this record.
    lost_link      text,
    -- Set if the record was adopted, which means that HubSpot had it before hubferry: the time of
    -- the adoption and the row that caused it. An unlink keeps them, because a late call may write
    -- hubferry's key there again. They are cleared when that HubSpot record is deleted.
    adopted_at     timestamptz,
    adopted_by     bigint,
    -- A person has confirmed that an erasure deletes the adopted record too.
    erase_confirmed boolean    NOT NULL DEFAULT false,
    -- What must be looked up in HubSpot before the next write, or what the last look-up found. The
    -- first four are looked up, the others are results:
    -- `id`: the HubSpot record `lookup_id`, which holds a unique value of this record.
    -- `email`: the record with its e-mail address, which holds the address; HubSpot named no id.
    -- `email_first`: the same before it is created, because the account has many such conflicts.
    -- `key`: the record with its key, because it cannot be created yet or a lost call may have
    --        created it. `lookup_id` is the record that it conflicts with, if HubSpot named one.
    -- `not_found`: HubSpot has no record with its id or address.
    -- `key_not_found`: HubSpot has no record with its key.
    -- `own_link`: its link was read before its delete, and is not merged into another record.
    -- `delete_again`: HubSpot has its key again after its delete was done, so it is deleted again.
    lookup         text,
    lookup_id      text,
    -- When and for which call it is due. All are NULL while nothing is owed or it is leased.
    due_at         timestamptz,
    stage          text,
    rank           timestamptz,
    deferred       boolean     NOT NULL DEFAULT false,
    lease_token    bigint,
    lease_until    timestamptz,
    lease_holder   text,
    leased_at      timestamptz,
    created_at     timestamptz NOT NULL,
    synced_at      timestamptz,
    -- The token of the settle that changed the link. It stays until all records that wait for the
    -- link have been woken.
    link_mark      bigint,
    CONSTRAINT crm_record_key UNIQUE (portal, sync_type, external_id),
    CONSTRAINT crm_record_stage CHECK (stage IN ('erase', 'archive', 'resolve', 'create', 'update', 'associate')),
    CONSTRAINT crm_record_lookup CHECK (lookup IN
        ('id', 'email', 'email_first', 'key', 'not_found', 'key_not_found', 'own_link', 'delete_again')
        AND (lookup <> 'id' OR lookup_id IS NOT NULL)),
    CONSTRAINT crm_record_lease CHECK (
        (lease_token IS NULL) = (lease_until IS NULL) AND (lease_token IS NULL OR due_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1);

-- Not unique, because people merge the HubSpot records of two records into one.
CREATE INDEX crm_record_link ON crm_record (portal, sync_type, hubspot_id)
    WHERE hubspot_id IS NOT NULL;
CREATE INDEX crm_record_alias ON crm_record (alias_of) WHERE alias_of IS NOT NULL;
-- The lease scans this index, in the order in which records are sent.
CREATE INDEX crm_record_ready ON crm_record (portal, sync_type, stage, rank, id)
    WHERE due_at IS NOT NULL AND NOT deferred;
CREATE INDEX crm_record_deferred ON crm_record (due_at) WHERE deferred;
CREATE INDEX crm_record_leased ON crm_record (lease_until) WHERE lease_token IS NOT NULL;

CREATE INDEX crm_record_link_mark ON crm_record (id) WHERE link_mark IS NOT NULL;

CREATE SEQUENCE lease_token;

-- One event owed to one record. `processing` is not stored: a row is processing while its record is
-- leased (see `sync_queue_view`). So a lease updates one row per record, and a crash leaves no rows
-- to correct.
CREATE TABLE sync_queue (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal         text        NOT NULL,
    -- No foreign keys. One statement inserts the rows, in the transaction that has inserted their
    -- events and locked their records. Checking each row again would cost a third of it.
    event_no       bigint      NOT NULL,
    record_id      bigint      NOT NULL,
    -- The alias that the event belongs to, if `record_id` is its survivor.
    subject_id     bigint,
    -- The output of the mapping file that made the change. An event can make several changes, also
    -- of one object kind; the output tells them apart.
    output         text        NOT NULL,
    operation      text        NOT NULL,
    status         text        NOT NULL DEFAULT 'pending',
    -- HubSpot has its properties. Associations of its record are still owed.
    written        boolean     NOT NULL DEFAULT false,
    priority       smallint    NOT NULL,
    retry_count    integer     NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL,
    -- The order of sending: created_at (or the time of a person's retry) minus the head start of
    -- the priority.
    rank           timestamptz NOT NULL,
    processed_at   timestamptz,
    call_id        bigint,
    error_code     text,
    error_property text,
    error_message  text,
    error_hint     text,
    error_correlation_id text,
    error_http_status    integer,
    warnings       jsonb,
    discarded_at   timestamptz,
    -- When a person last retried it. All rows of one retry have the same time.
    retried_at     timestamptz,
    -- It failed because of HubSpot, so its values are sent along when its record is next sent.
    along          boolean     NOT NULL DEFAULT false,
    CONSTRAINT sync_queue_status CHECK (status IN ('pending', 'retry', 'synced', 'failed')),
    CONSTRAINT sync_queue_operation CHECK (operation IN ('upsert', 'archive', 'erase')),
    CONSTRAINT sync_queue_priority CHECK (priority BETWEEN 0 AND 2)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.1);

-- The next rows of a record, in the order in which they are processed: deletes first, then the
-- oldest.
CREATE INDEX sync_queue_open ON sync_queue (record_id, (operation = 'upsert'), id)
    WHERE status IN ('pending', 'retry') AND NOT written;
CREATE INDEX sync_queue_written ON sync_queue (record_id)
    WHERE status IN ('pending', 'retry') AND written;
CREATE INDEX sync_queue_failed ON sync_queue (portal, id) WHERE status = 'failed' AND discarded_at IS NULL;
CREATE INDEX sync_queue_along ON sync_queue (record_id, id)
    WHERE status = 'failed' AND along AND discarded_at IS NULL AND NOT written;
CREATE INDEX sync_queue_record ON sync_queue (record_id);
CREATE INDEX sync_queue_subject ON sync_queue (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX sync_queue_waiting ON sync_queue (portal, id) WHERE status IN ('pending', 'retry');
CREATE INDEX sync_queue_retried ON sync_queue (retried_at, id) WHERE retried_at IS NOT NULL;
CREATE INDEX sync_queue_discarded ON sync_queue (discarded_at, id) WHERE discarded_at IS NOT NULL;
CREATE INDEX sync_queue_error ON sync_queue (portal, error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX sync_queue_error_words ON sync_queue USING gin (to_tsvector('simple', error_message))
    WHERE status = 'failed';

-- The association slots of records: last-writer-wins registers that hold a target or many.
CREATE TABLE crm_association (
    record_id      bigint      NOT NULL REFERENCES crm_record (id),
    slot           text        NOT NULL,
    -- 0 in a slot with one target. A slot with many has an entry for each of them, named by the
    -- target's id, and the entry 0, which holds the stamp of the newest list.
    entry          bigint      NOT NULL DEFAULT 0,
    -- NULL means no target.
    target_id      bigint REFERENCES crm_record (id),
    set_at         timestamptz NOT NULL,
    set_by         bigint      NOT NULL,
    -- The target of the pair that hubferry has created in HubSpot.
    made_target_id bigint REFERENCES crm_record (id),
    made_from      text,
    made_to        text,
    -- false: a call that creates this pair was sent, and its reply is not stored yet.
    sure           boolean     NOT NULL DEFAULT true,
    -- HubSpot refused this pair. It waits for a person, another target or another link.
    refused        boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (record_id, slot, entry)
);
CREATE INDEX crm_association_target ON crm_association (target_id);
CREATE INDEX crm_association_made ON crm_association (made_from, made_to);
CREATE INDEX crm_association_unmade ON crm_association (target_id)
    WHERE made_to IS NULL AND target_id IS NOT NULL;

-- Events of an erased record that other records still need: they are emptied when their last open
-- row ends.
CREATE TABLE event_erasure (
    event_no bigint PRIMARY KEY
);

-- One line for each attempt that did not succeed. (A success is the row's own processed_at and
-- call_id.)
CREATE TABLE attempt (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal         text        NOT NULL,
    row_id         bigint      NOT NULL,
    call_id        bigint,
    attempted_at   timestamptz NOT NULL,
    class          text        NOT NULL,
    code           text        NOT NULL,
    property       text,
    message        text        NOT NULL,
    hint           text,
    correlation_id text,
    http_status    integer,
    -- false: the attempt is not counted, because an outage caused it and not the row.
    counted        boolean     NOT NULL DEFAULT true
);
CREATE INDEX attempt_newest ON attempt (portal, id);
CREATE INDEX attempt_call ON attempt (call_id);
CREATE INDEX attempt_row ON attempt (row_id, id);

-- The ledger of the rolling window, which is also the call log. A call holds its place in the
-- window from its reservation until its reply plus the window's length. free_at is that end. It is
-- first set to the latest possible time, so the places of a killed process expire by themselves.
CREATE TABLE hubspot_call (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal         text        NOT NULL,
    holder         text        NOT NULL,
    reserved_at    timestamptz NOT NULL,
    free_at        timestamptz NOT NULL,
    purpose        text,
    sync_type      text,
    inputs         integer,
    replied_at     timestamptz,
    duration_ms    integer,
    http_status    integer,
    class          text,
    message        text,
    correlation_id text
) WITH (fillfactor = 70);
CREATE INDEX hubspot_call_newest ON hubspot_call (portal, id);
CREATE INDEX hubspot_call_occupied ON hubspot_call (portal, free_at);

-- Why nothing is sent: one row for each reason, for the whole portal (sync_type '') or one object
-- kind.
CREATE TABLE gate (
    portal    text        NOT NULL,
    sync_type text        NOT NULL DEFAULT '',
    kind      text        NOT NULL,
    code      text,
    reason    text        NOT NULL,
    hint      text,
    closed_at timestamptz NOT NULL,
    -- NULL: until a person opens it.
    until     timestamptz,
    -- The number of successful probes in a row.
    probes    integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (portal, sync_type, kind),
    CONSTRAINT gate_kind CHECK (kind IN
        ('paused', 'account', 'window', 'daily', 'reserve', 'locked', 'migrating', 'credentials', 'scope', 'schema', 'breaker'))
);

-- The audit log records who did what.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Empty for actions on the whole service.
    portal  text        NOT NULL,
    at      timestamptz NOT NULL,
    actor   text        NOT NULL,
    action  text        NOT NULL,
    target  text,
    details jsonb
);
CREATE INDEX audit_action ON audit (portal, action, id);
CREATE INDEX audit_reveal ON audit (portal, target, actor, at) WHERE action = 'reveal';

-- Tables for the dashboard: keys and sessions, totals without counting, searches without scans.

-- Keys are stored as SHA-256. A key has 256 random bits, so it needs no slow hash. People see the
-- prefix.
CREATE TABLE api_key (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL,
    prefix       text        NOT NULL,
    hash         bytea       NOT NULL,
    role         text        NOT NULL,
    -- The portals that the key may reach. NULL means all of them.
    portals      text[],
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    revoked_by   text,
    CONSTRAINT api_key_hash UNIQUE (hash),
    CONSTRAINT api_key_role CHECK (role IN ('ingest', 'viewer', 'operator', 'admin'))
);

-- A person who is signed in. The secret of the cookie is stored as its SHA-256.
CREATE TABLE session (
    hash       bytea PRIMARY KEY,
    -- NULL means the admin key of the settings. Its digest is stored, so that a new admin key ends
    -- the session.
    key_id     bigint REFERENCES api_key (id),
    bootstrap  bytea,
    csrf       text        NOT NULL,
    -- The portal that the person looks at.
    portal     text        NOT NULL DEFAULT 'default',
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT session_key CHECK ((key_id IS NULL) <> (bootstrap IS NULL))
);
CREATE INDEX session_expires ON session (expires_at);

-- The secret that signs cookies. It is generated once. (A UUID of version 4 has 122 random bits.)
CREATE TABLE session_secret (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret text NOT NULL
);
INSERT INTO session_secret (secret) VALUES (gen_random_uuid()::text || gen_random_uuid()::text);

-- Which rows contain an e-mail address: the first eight bytes of its SHA-256. It has its own table,
-- because each settle of a row would change a random page of such an index on `sync_queue`.
CREATE TABLE row_email (
    row_id     bigint PRIMARY KEY,
    email_hash bigint NOT NULL
);
CREATE INDEX row_email_hash ON row_email (email_hash, row_id);

-- How many rows of a kind have a status, stored as differences. Each statement adds its own
-- difference, so statements never wait for each other, and the janitor folds them. The sums are
-- exact at every commit.
CREATE TABLE tally (
    no        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal    text        NOT NULL,
    sync_type text        NOT NULL,
    -- One of the stored statuses, or `discarded`.
    status    text        NOT NULL,
    rows      bigint      NOT NULL,
    -- The latest time at which one of these rows ended.
    last_at   timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- How many rows ended in each span, and how long they took. It also stores differences, which are
-- folded into longer spans as they age.
CREATE TABLE pulse (
    no        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal    text        NOT NULL,
    -- The start of the span: ten seconds, later a minute, later a quarter of an hour.
    at        timestamptz NOT NULL,
    sync_type text        NOT NULL,
    outcome   text        NOT NULL,
    -- How often the span has been folded: 0 ten seconds, 1 a minute, 2 a quarter of an hour.
    fold      smallint    NOT NULL DEFAULT 0,
    -- The time from acceptance to the end is 2^(bucket / 4) milliseconds.
    bucket    smallint    NOT NULL,
    rows      bigint      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX pulse_at ON pulse (portal, at);
CREATE INDEX pulse_fold ON pulse (fold, at) WHERE fold < 2;

-- Settings that a person has stored. They take precedence over the environment and the file.
CREATE TABLE setting (
    -- Empty for the whole service. A portal's own value takes precedence over it.
    portal     text        NOT NULL,
    -- The dotted name, as in config/default.toml.
    key        text        NOT NULL,
    value      jsonb       NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text        NOT NULL,
    CONSTRAINT setting_pkey PRIMARY KEY (portal, key)
);

-- The background tasks, and how their last runs went. A task that runs in every process has a row
-- for each process. A task that runs in one process at a time has one row, whose process is empty.
CREATE TABLE background_task (
    portal           text        NOT NULL DEFAULT 'default',
    name             text        NOT NULL,
    process          text        NOT NULL,
    description      text        NOT NULL,
    -- What happens while the task fails.
    impact           text        NOT NULL,
    period_ms        bigint      NOT NULL,
    -- The process that ran it last, or runs it now.
    run_by           text,
    -- A task that runs in one process at a time is running. If its process dies, the lease ends then.
    leased_until     timestamptz,
    last_run_at      timestamptz,
    last_duration_ms integer,
    -- The result of the last run that succeeded.
    last_result      text,
    -- NULL if the last run succeeded.
    last_error       text,
    next_run_at      timestamptz NOT NULL,
    CONSTRAINT background_task_pkey PRIMARY KEY (portal, name, process)
) WITH (fillfactor = 50);

-- The newest stamp so far, in microseconds since 1970. Events without a time are ordered by such
-- stamps.
CREATE SEQUENCE event_stamp;

-- Tables that change every minute are not analysed. Statistics from a quiet hour say that no rows
-- are open or leased. The planner then believes that a partial index is empty, and in the next
-- burst it would scan the whole index for the rows of each record.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM (VALUES
        ('sync_queue', '{status,written,along}'::text[]),
        ('crm_record', '{due_at,stage,rank,deferred,doubt,lookup,lookup_id,failures,backoff_until,waiting_until,link_mark,lease_token,lease_until,lease_holder,leased_at}'),
        ('crm_association', '{target_id,made_target_id,made_from,made_to,sure,refused}')
    ) AS t (name, columns) LOOP
        EXECUTE format('ALTER TABLE %I %s', one.name, (
            SELECT string_agg(format('ALTER COLUMN %I SET STATISTICS 0', c), ', ')
            FROM UNNEST(one.columns) AS c));
    END LOOP;
END $$;
