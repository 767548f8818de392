-- The tables. Functions, triggers and views are in `functions/` and `views/`, and are made anew as a
-- whole where they differ; `current.sql` shows the result.
-- Times come from Postgres' clock; every constraint and index has a name that errors are matched by.

-- Which functions, triggers and views were made: a digest of their texts.
CREATE TABLE schema_code (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    digest text NOT NULL
);

-- What is owed to HubSpot, and what HubSpot has accepted.

CREATE TABLE crm_portal (
    portal            text PRIMARY KEY,
    -- The HubSpot account the links were made in; NULL until the first connection.
    hubspot_portal_id bigint,
    time_zone         text        NOT NULL DEFAULT 'UTC',
    -- The daily quota's ledger: calls reserved since day_started_at (midnight in time_zone).
    day_started_at    timestamptz NOT NULL DEFAULT 'epoch',
    day_used          integer     NOT NULL DEFAULT 0,
    -- What HubSpot's headers said last: the limits, and how much of the window others use.
    window_limit      integer,
    day_limit         integer,
    others_used       integer     NOT NULL DEFAULT 0,
    others_until      timestamptz NOT NULL DEFAULT 'epoch'
);
INSERT INTO crm_portal (portal) VALUES ('default');

CREATE TABLE event (
    no          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal      text        NOT NULL,
    source      text        NOT NULL,
    id          text        NOT NULL,
    type        text        NOT NULL,
    -- Empty once erased.
    subject     text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    -- NULL once erased.
    data        jsonb,
    -- SHA-256 of the canonical JSON as it was sent. NULL once erased: then the id alone tells a duplicate.
    hash        bytea,
    received_at timestamptz NOT NULL,
    -- The numbers of its rows. Here, where nothing is updated: an index over the event in `sync_queue`
    -- would have an entry more with every version of a row.
    row_ids     bigint[]    NOT NULL,
    -- The trace that the sender gave (W3C Trace Context).
    traceparent text,
    -- The id first: it is looked for without its source too.
    CONSTRAINT event_key UNIQUE (id, source, portal)
);
CREATE INDEX event_type ON event (type, no);

-- One HubSpot record that we own properties of. Heavily updated: room for HOT updates.
CREATE TABLE crm_record (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal         text        NOT NULL,
    sync_type      text        NOT NULL,
    external_id    text        NOT NULL,
    hubspot_id     text,
    -- property -> [value, event time, row]: what HubSpot has accepted, and which row it came from.
    accepted       jsonb       NOT NULL DEFAULT '{}',
    -- The newest delete: values at or before it are void.
    tombstone_at   timestamptz,
    tombstone_row  bigint,
    erased_at      timestamptz,
    -- The token of the last call without a definite verdict; 0: HubSpot holds what accepted says.
    doubt          bigint      NOT NULL DEFAULT 0,
    -- The doubt that a person's resync has made of a record that had none: HubSpot holds what accepted
    -- says all the same.
    resync_doubt   bigint,
    -- Transient failures in a row: the step of the backoff.
    failures       integer     NOT NULL DEFAULT 0,
    backoff_until  timestamptz,
    -- Cannot be created yet: due at this deadline, or as soon as another row arrives.
    waiting_until  timestamptz,
    waiting_reason text,
    -- Merged in HubSpot into the record of another of ours, to which all that is this one's goes.
    alias_of       bigint REFERENCES crm_record (id),
    -- Only of records that share a HubSpot record, survivor and aliases: the newest of what the events
    -- of this one brought, as {"properties": {name: [value, time, row]}, "slots": {slot: [target, time,
    -- row]}}. `accepted` of the survivor has the newest of all of them.
    brought        jsonb,
    -- The last link, if HubSpot knew it no longer: a record that lists it among those merged into it
    -- is this one's.
    lost_link      text,
    -- HubSpot had its record before us: when it was adopted, and the row that led to it. It outlives an
    -- unlink, since a call that comes late may write our key there again, and ends with that record.
    adopted_at     timestamptz,
    adopted_by     bigint,
    -- A person has decided that an erasure takes the adopted record along.
    erase_confirmed boolean    NOT NULL DEFAULT false,
    -- HubSpot holds a record with a unique value of ours: its id, or empty where it named none.
    -- It is read, and adopted if it is nobody else's, before the record goes out again.
    -- `?`: read ahead, since the account shows such conflicts; `!`: read, and nothing is there;
    -- `-`: found by our key after its delete was done, so it is deleted once more;
    -- `=`: read before its delete, and not merged into anybody else's;
    -- `#`: it may not be created yet, or a lost call may have created it: it is looked for by its key.
    -- What it is in conflict with may follow. `~`: not found by its key.
    resolve        text,
    -- When and for which call it is due; all NULL when nothing is owed or while leased.
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
    -- The token of the settle that changed the link, until all who wait for it have been woken.
    link_mark      bigint,
    CONSTRAINT crm_record_key UNIQUE (portal, sync_type, external_id),
    CONSTRAINT crm_record_stage CHECK (stage IN ('erase', 'archive', 'resolve', 'create', 'update', 'associate')),
    CONSTRAINT crm_record_lease CHECK (
        (lease_token IS NULL) = (lease_until IS NULL) AND (lease_token IS NULL OR due_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1);

-- Not unique: people merge two records of ours into one in HubSpot.
CREATE INDEX crm_record_link ON crm_record (portal, sync_type, hubspot_id)
    WHERE hubspot_id IS NOT NULL;
CREATE INDEX crm_record_alias ON crm_record (alias_of) WHERE alias_of IS NOT NULL;
-- What the lease scans, in the order in which it goes.
CREATE INDEX crm_record_ready ON crm_record (portal, sync_type, stage, rank, id)
    WHERE due_at IS NOT NULL AND NOT deferred;
CREATE INDEX crm_record_deferred ON crm_record (due_at) WHERE deferred;
CREATE INDEX crm_record_leased ON crm_record (lease_until) WHERE lease_token IS NOT NULL;

CREATE INDEX crm_record_link_mark ON crm_record (id) WHERE link_mark IS NOT NULL;

CREATE SEQUENCE lease_token;

-- One event owed to one record. `processing` is not stored: a row is processing while its record
-- is leased (see `sync_queue_view`), so a lease costs one update a record and a crash none a row.
CREATE TABLE sync_queue (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- No foreign keys: rows are inserted by one statement, in the transaction that has inserted their
    -- events and locked their records, and asking again for each row costs a third of it.
    event_no       bigint      NOT NULL,
    record_id      bigint      NOT NULL,
    -- The alias whose event it is, where `record_id` is its survivor.
    subject_id     bigint,
    operation      text        NOT NULL,
    status         text        NOT NULL DEFAULT 'pending',
    -- Its properties stand in HubSpot; associations of its record are still owed.
    written        boolean     NOT NULL DEFAULT false,
    priority       smallint    NOT NULL,
    retry_count    integer     NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL,
    -- The place in line: created_at (or the moment of a person's retry) less the priority's head start.
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
    -- When a person last retried it; the rows of one retry have the same instant.
    retried_at     timestamptz,
    -- Failed by HubSpot's fault and not its own: its values go along when its record next goes out.
    along          boolean     NOT NULL DEFAULT false,
    CONSTRAINT sync_queue_status CHECK (status IN ('pending', 'retry', 'synced', 'failed')),
    CONSTRAINT sync_queue_operation CHECK (operation IN ('upsert', 'archive', 'erase')),
    CONSTRAINT sync_queue_priority CHECK (priority BETWEEN 0 AND 2)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.1);

-- A record's next rows, in the order in which they are taken: deletes first, then the oldest.
CREATE INDEX sync_queue_open ON sync_queue (record_id, (operation = 'upsert'), id)
    WHERE status IN ('pending', 'retry') AND NOT written;
CREATE INDEX sync_queue_written ON sync_queue (record_id)
    WHERE status IN ('pending', 'retry') AND written;
CREATE INDEX sync_queue_failed ON sync_queue (id) WHERE status = 'failed' AND discarded_at IS NULL;
CREATE INDEX sync_queue_along ON sync_queue (record_id, id)
    WHERE status = 'failed' AND along AND discarded_at IS NULL AND NOT written;
CREATE INDEX sync_queue_record ON sync_queue (record_id);
CREATE INDEX sync_queue_subject ON sync_queue (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX sync_queue_waiting ON sync_queue (id) WHERE status IN ('pending', 'retry');
CREATE INDEX sync_queue_retried ON sync_queue (retried_at, id) WHERE retried_at IS NOT NULL;
CREATE INDEX sync_queue_discarded ON sync_queue (discarded_at, id) WHERE discarded_at IS NOT NULL;
CREATE INDEX sync_queue_error ON sync_queue (error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX sync_queue_error_words ON sync_queue USING gin (to_tsvector('simple', error_message))
    WHERE status = 'failed';

-- An association slot of a record: a last-writer-wins register over its target.
CREATE TABLE crm_association (
    record_id      bigint      NOT NULL REFERENCES crm_record (id),
    slot           text        NOT NULL,
    -- NULL: nobody.
    target_id      bigint REFERENCES crm_record (id),
    set_at         timestamptz NOT NULL,
    set_by         bigint      NOT NULL,
    -- What stands in HubSpot by our hand.
    made_target_id bigint REFERENCES crm_record (id),
    made_from      text,
    made_to        text,
    -- false: a call that makes this pair has left and its reply is not recorded.
    sure           boolean     NOT NULL DEFAULT true,
    -- HubSpot refused this pair; waits for a person, another target or another link.
    refused        boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (record_id, slot)
);
CREATE INDEX crm_association_target ON crm_association (target_id);
CREATE INDEX crm_association_made ON crm_association (made_from, made_to);
CREATE INDEX crm_association_unmade ON crm_association (target_id)
    WHERE made_to IS NULL AND target_id IS NOT NULL;

-- One line a counted try that did not succeed (a success is the row's own processed_at and call_id).
CREATE TABLE attempt (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    -- false: given back, since it was an outage and not the row.
    counted        boolean     NOT NULL DEFAULT true
);
CREATE INDEX attempt_call ON attempt (call_id);
CREATE INDEX attempt_row ON attempt (row_id, id);

-- The ledger of the rolling window and the call log in one: a call holds its place in the window
-- from its reservation until its reply plus the window's length. free_at is that end; it is set
-- to the latest possible instant first, so a killed process frees its places by itself.
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
CREATE INDEX hubspot_call_occupied ON hubspot_call (portal, free_at);

-- Why nothing is sent: one line a reason, for the whole portal (sync_type '') or one object kind.
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
    -- Probes in a row that came through.
    probes    integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (portal, sync_type, kind),
    CONSTRAINT gate_kind CHECK (kind IN
        ('paused', 'account', 'window', 'daily', 'reserve', 'locked', 'migrating', 'credentials', 'scope', 'schema', 'breaker'))
);

-- Who did what.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    actor   text        NOT NULL,
    action  text        NOT NULL,
    target  text,
    details jsonb
);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_reveal ON audit (target, actor, at) WHERE action = 'reveal';

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

-- Which rows carry an e-mail address: the first eight bytes of its SHA-256. A table of its own, since
-- each settle of a row would touch a random page of such an index over `sync_queue`.
CREATE TABLE row_email (
    row_id     bigint PRIMARY KEY,
    email_hash bigint NOT NULL
);
CREATE INDEX row_email_hash ON row_email (email_hash, row_id);

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

-- Settings that a person has stored: they win over the environment and the file.
CREATE TABLE setting (
    -- Dotted, as in config/default.toml.
    key        text        NOT NULL,
    value      jsonb       NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text        NOT NULL,
    CONSTRAINT setting_pkey PRIMARY KEY (key)
);

-- What an event without a time is ordered by: the newest stamp drawn so far, in microseconds of 1970.
CREATE SEQUENCE event_stamp;

-- What changes by the minute is not analysed. Statistics that were gathered in a quiet hour say that
-- nothing is ever open or leased, and the first burst after it would look through the whole of a
-- partial index, believed to be empty, for the rows of each record.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM (VALUES
        ('sync_queue', '{status,written,along}'::text[]),
        ('crm_record', '{due_at,stage,rank,deferred,doubt,resolve,failures,backoff_until,waiting_until,link_mark,lease_token,lease_until,lease_holder,leased_at}'),
        ('crm_association', '{target_id,made_target_id,made_from,made_to,sure,refused}')
    ) AS t (name, columns) LOOP
        EXECUTE format('ALTER TABLE %I %s', one.name, (
            SELECT string_agg(format('ALTER COLUMN %I SET STATISTICS 0', c), ', ')
            FROM UNNEST(one.columns) AS c));
    END LOOP;
END $$;
