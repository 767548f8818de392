//! Leases records: selects the records that are sent next, and gives a worker the exclusive right
//! to them until the lease expires.

mod rows;

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use crate::queue::gates::kind::{GateKind, PROBED};
use crate::queue::model::{Batch, Lease, Record, Stage};
use crate::queue::{Queue, QueueError};

pub(in crate::queue) use rows::OpenRow;
use rows::{LeasedRow, load_rows};

/// At most this many rows of one record are folded at once. The others are sent with the next call.
/// The SQL function `schedule` uses the same limit.
pub const ROWS_PER_RECORD: i64 = 1_000;

/// What is sent next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The object kind.
    pub sync_type: String,
    /// The call that is due.
    pub stage: Stage,
    /// The rank of the first record. Lower ranks are sent first.
    pub rank: DateTime<Utc>,
    /// Set if the gate's time is over: one record may be sent, to test whether the gate may open.
    pub probe: Option<String>,
    /// The first record's transient failures in a row. Only records with the same number share its
    /// batch.
    pub failures: i32,
    /// Only records that owe a row of high priority are sent.
    pub urgent: bool,
}

/// Who leases records, and for how long.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The worker's name, as shown to people.
    pub name: String,
    /// How long the lease lasts.
    pub ttl: TimeDelta,
}

impl Queue {
    /// Returns the object kind and call whose first record has been due the longest and is not
    /// behind a closed gate. `kinds` is the order for equal ranks: parents before their children.
    /// While the last of the daily quota is reserved, only records that owe a row of high priority
    /// count.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due(&self, kinds: &[&str], now: DateTime<Utc>) -> Result<Option<Due>, QueueError> {
        let woken = sqlx::query(
            "UPDATE crm_record SET deferred = false WHERE id IN (
                 SELECT id FROM crm_record WHERE deferred AND due_at <= $1
                 ORDER BY due_at LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED)",
        )
        .bind(now)
        .execute(&self.pool)
        .await?;
        if woken.rows_affected() > 0 {
            self.cursors.joined();
        }
        if self.cursors.known()
            && let Some(due) = self.first_in_line(kinds, now, true).await?
        {
            return Ok(Some(due));
        }
        let (joined, looks) = (self.cursors.looks(), Instant::now());
        let due = self.first_in_line(kinds, now, false).await?;
        self.cursors.looked(joined, looks.elapsed());
        Ok(due)
    }

    /// The first due record of all due queues. The scan starts at the known starts or at the
    /// beginning.
    async fn first_in_line(
        &self,
        kinds: &[&str],
        now: DateTime<Utc>,
        known: bool,
    ) -> Result<Option<Due>, QueueError> {
        let (mut names, mut stages, mut heads) = (vec![], vec![], vec![]);
        for (stage, kind) in Stage::ALL.iter().flat_map(|s| kinds.iter().map(move |k| (*s, *k))) {
            names.push(kind);
            stages.push(stage.as_str());
            heads.push(if known { self.cursors.head(kind, stage) } else { None });
        }
        let rows: Vec<Head> = sqlx::query_as(
            "WITH reserve AS MATERIALIZED (
                 SELECT EXISTS (SELECT 1 FROM gate
                                WHERE portal = $1 AND kind = $6 AND until > $5) AS urgent)
             SELECT l.sync_type, l.stage, head.rank, head.failures, reserve.urgent,
                    (SELECT g.kind FROM gate g
                     WHERE g.portal = $1 AND g.sync_type IN ('', l.sync_type)
                       AND g.kind = ANY($7)
                     ORDER BY g.kind LIMIT 1) AS probe
             FROM reserve
             CROSS JOIN UNNEST($2::text[], $3::text[], $4::timestamptz[])
                        WITH ORDINALITY AS l (sync_type, stage, head, place)
             CROSS JOIN LATERAL (
                 SELECT rank, failures FROM crm_record
                 WHERE portal = $1 AND sync_type = l.sync_type AND stage = l.stage
                   AND rank >= COALESCE(l.head, '-infinity')
                   AND due_at IS NOT NULL AND NOT deferred
                   AND (NOT reserve.urgent OR EXISTS (
                       SELECT 1 FROM sync_queue q
                       WHERE q.record_id = crm_record.id AND q.priority = 0
                         AND q.status IN ('pending', 'retry')))
                 ORDER BY rank, id LIMIT 1) AS head
             WHERE NOT EXISTS (
                 SELECT 1 FROM gate g
                 WHERE g.portal = $1 AND g.sync_type IN ('', l.sync_type)
                   AND g.kind <> $6 AND (g.until IS NULL OR g.until > $5))
             ORDER BY head.rank, l.place",
        )
        .bind(self.portal())
        .bind(names)
        .bind(stages)
        .bind(heads)
        .bind(now)
        .bind(GateKind::Reserve.as_str())
        .bind(GateKind::names(&PROBED))
        .fetch_all(&self.pool)
        .await?;
        let mut first = None;
        for Head { sync_type, stage, rank, failures, urgent, probe } in rows {
            let stage = stage.parse().map_err(QueueError::Corrupt)?;
            // With only the day's last calls left, most of a due queue is skipped. Its known start
            // is not moved.
            if !urgent {
                self.cursors.begins(&sync_type, stage, rank);
            }
            first.get_or_insert(Due { sync_type, stage, rank, probe, failures, urgent });
        }
        Ok(first)
    }

    /// Leases up to `limit` records that are due for `due`, lowest rank first, and loads their open
    /// rows. Returns `None` if other workers leased them first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease(
        &self,
        due: &Due,
        limit: i64,
        holder: &Holder,
        now: DateTime<Utc>,
    ) -> Result<Option<Batch>, QueueError> {
        let until = now + holder.ttl;
        // All in one transaction. While the records are locked, no row can be added that belongs to
        // another stage, such as a delete.
        let mut tx = self.begin().await?;
        let rows: Vec<LeasedRow> = sqlx::query_as(
            "WITH token AS MATERIALIZED (SELECT nextval('lease_token') AS value), picked AS MATERIALIZED (
                 SELECT id, rank FROM crm_record
                 WHERE portal = $1 AND sync_type = $2 AND stage = $3
                   -- No earlier record of this due queue was due a moment ago. One that has
                   -- become due since is found by the next step.
                   AND rank >= $10
                   AND due_at IS NOT NULL AND NOT deferred AND failures = $8
                   AND (NOT $9 OR EXISTS (
                       SELECT 1 FROM sync_queue q
                       WHERE q.record_id = crm_record.id AND q.priority = 0
                         AND q.status IN ('pending', 'retry')))
                 ORDER BY rank, id LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
             UPDATE crm_record r
             SET lease_token = token.value, lease_until = $5, lease_holder = $6, leased_at = $7,
                 -- The state of a record that owes nothing, so the settle need not change it.
                 due_at = NULL, stage = NULL, rank = NULL, waiting_until = NULL, waiting_reason = NULL
             FROM picked, token WHERE r.id = picked.id
             RETURNING r.id, r.external_id, r.hubspot_id, r.accepted, r.tombstone_at, r.tombstone_row,
                       r.doubt, r.lookup, r.lookup_id, r.failures, r.lease_token, picked.rank,
                       r.brought IS NOT NULL AS shared, r.lost_link,
                       r.adopted_at IS NOT NULL AS adopted, r.erase_confirmed",
        )
        .bind(self.portal())
        .bind(&due.sync_type)
        .bind(due.stage.as_str())
        .bind(limit)
        .bind(until)
        .bind(&holder.name)
        .bind(now)
        .bind(due.failures)
        .bind(due.urgent)
        .bind(due.rank)
        .fetch_all(&mut *tx)
        .await?;
        let Some(token) = rows.first().map(|r| r.lease_token) else { return Ok(None) };
        let mut rows = rows;
        rows.sort_by_key(|r| (r.rank, r.id));
        let records: Result<_, _> = rows.into_iter().map(LeasedRow::into_record).collect();
        let mut records: Vec<Record> = records?;
        load_rows(&mut tx, due.stage, &mut records).await?;
        tx.commit().await?;
        let (sync_type, stage) = (due.sync_type.clone(), due.stage);
        Ok(Some(Batch { lease: Lease { token, until }, sync_type, stage, records }))
    }

    /// Extends the lease of `records` to `now + ttl`, before a further call. Returns `false` if
    /// some of them are no longer leased under it; then nothing may be sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew(
        &self,
        lease: &mut Lease,
        records: &[i64],
        ttl: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let until = now + ttl;
        let held = sqlx::query(
            // All code locks records in this order, to avoid deadlocks.
            "WITH held AS MATERIALIZED (
                 SELECT id FROM crm_record
                 WHERE id = ANY($1) AND lease_token = $2 AND lease_until > $4
                 ORDER BY id FOR NO KEY UPDATE)
             UPDATE crm_record r SET lease_until = $3 FROM held WHERE r.id = held.id",
        )
        .bind(records)
        .bind(lease.token)
        .bind(until)
        .bind(now)
        .execute(&self.pool)
        .await?
        .rows_affected();
        lease.until = until;
        Ok(held == records.len() as u64)
    }
}

/// The first record of a due queue.
#[derive(sqlx::FromRow)]
struct Head {
    sync_type: String,
    stage: String,
    rank: DateTime<Utc>,
    failures: i32,
    urgent: bool,
    probe: Option<String>,
}
