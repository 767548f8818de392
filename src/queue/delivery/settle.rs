//! Settles a lease: one transaction stores the result of every row of a batch, guarded by the
//! lease's token.
//!
//! If the lease of a record was lost, its settlement changes only one thing: the record is marked
//! as in doubt, because our call may have reached HubSpot after the call of the next worker.

mod alias;
mod gone;
mod own;
mod promote;
mod subject;
mod writes;

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};

use crate::queue::delivery::refresh::{lock, refresh};
use crate::queue::delivery::settlement::{Certainty, End, Link, Settlement, SlotWrite};
use crate::queue::intake::enqueue::ensure_records;
use crate::queue::model::Lease;
use crate::queue::{Queue, QueueError};

use alias::{absorbed, aliases, holders, merge};
use gone::{erase, reopen_newer, void_slots};
use promote::promote;
use subject::{living, part_ways, void_aliases, write_own};
pub(in crate::queue) use writes::refuse_rows;
use writes::{write_records, write_rows, write_slots};

/// The result of a settle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// The number of records that were settled.
    pub records: usize,
    /// The number of records that another worker holds by now.
    pub fenced: usize,
    /// Whether some records are due again.
    pub again: bool,
}

impl Queue {
    /// Ends `lease` for the records of `settlements`, in one transaction. `call` is the call that
    /// the verdicts come from.
    ///
    /// # Errors
    /// When the database fails. Nothing has changed then, and the lease expires.
    pub async fn settle(
        &self,
        lease: &Lease,
        settlements: &[Settlement],
        call: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<Settled, QueueError> {
        let mut tx = self.begin().await?;
        let mut slots: Vec<&SlotWrite> = settlements.iter().flat_map(|s| &s.slots).collect();
        for settlement in settlements {
            slots.extend(settlement.own.iter().flat_map(|part| &part.slots));
        }
        let targets = slots.into_iter().filter_map(|s| s.target.as_ref());
        let targets = ensure_records(
            &mut tx,
            self.portal(),
            targets.map(|(t, id)| (t.as_str(), id.as_str())),
            now,
        )
        .await?;
        let ids: Vec<i64> = settlements.iter().map(|s| s.record).collect();
        let holders = holders(&mut tx, settlements).await?;
        let aliases = aliases(&mut tx, settlements, &holders).await?;
        let absorbs = absorbed(&mut tx, settlements).await?;
        // Targets are locked too: their link must not change between this read and the commit.
        let locks = ids.iter().chain(targets.values()).chain(holders.values()).chain(&aliases);
        let locks = locks.chain(absorbs.iter().map(|(record, _)| record));
        let locks: BTreeSet<i64> = locks.copied().collect();
        lock(&mut tx, &locks.into_iter().collect::<Vec<_>>()).await?;
        let held: HashSet<i64> =
            sqlx::query_scalar("SELECT id FROM crm_record WHERE id = ANY($1) AND lease_token = $2")
                .bind(&ids)
                .bind(lease.token)
                .fetch_all(&mut *tx)
                .await?
                .into_iter()
                .collect();
        let (ours, fenced): (Vec<_>, Vec<_>) =
            settlements.iter().partition(|s| held.contains(&s.record));
        let promoting: Vec<i64> =
            ours.iter().filter(|s| s.end == End::PassedOn).map(|s| s.record).collect();
        let mut heirs = living(&mut tx, &promoting).await?;
        heirs.retain(|_, heir| !ids.contains(heir));
        // Checked again here. An adoption that came too late finds the owner of the link. A delete
        // that no alias survives removes the HubSpot record too.
        let too_late = |s: &Settlement| {
            (matches!(s.link, Link::Adopt(_)) && holders.contains_key(&s.record))
                || (s.end == End::PassedOn && !heirs.contains_key(&s.record))
        };
        let late: Vec<Settlement> = ours
            .iter()
            .filter(|s| too_late(s))
            .map(|s| Settlement::release(s.record, s.doubt))
            .collect();
        let mut ours = ours;
        ours.retain(|s| !too_late(s));
        ours.extend(&late);
        let mut merged: Vec<(i64, i64)> = ours
            .iter()
            .filter(|s| matches!(s.link, Link::Moved(_)))
            .filter_map(|s| Some((s.record, *holders.get(&s.record)?)))
            .collect();
        if !absorbs.is_empty() {
            let absorbs = absorbed(&mut tx, settlements).await?;
            merged.extend(absorbs.into_iter().filter(|(_, record)| held.contains(record)));
        }

        for (survivor, heir) in &heirs {
            promote(&mut tx, *survivor, *heir).await?;
        }
        write_records(&mut tx, &ours, lease.token, now).await?;
        void_slots(&mut tx, &ours).await?;
        write_slots(&mut tx, &ours, &targets).await?;
        write_rows(&mut tx, &ours, call, now).await?;
        reopen_newer(&mut tx, &ours).await?;
        erase(&mut tx, self.portal(), &ours, now).await?;
        write_own(&mut tx, &ours, &targets).await?;
        let mut touched = void_aliases(&mut tx, &ours, now).await?;
        touched.extend(part_ways(&mut tx, &ours).await?);
        refresh(&mut tx, &touched, now).await?;
        merge(&mut tx, &merged, now).await?;
        let lost: Vec<i64> = fenced
            .iter()
            .filter(|s| s.certainty != Certainty::AsBefore)
            .map(|s| s.record)
            .collect();
        // A new number. The reaper has marked the same lease before, and a worker that has read
        // that mark must not clear this one.
        if !lost.is_empty() {
            sqlx::query("UPDATE crm_record SET doubt = nextval('lease_token') WHERE id = ANY($1)")
                .bind(&lost)
                .execute(&mut *tx)
                .await?;
        }
        refresh(&mut tx, &ids, now).await?;
        let again: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM crm_record WHERE id = ANY($1) AND due_at IS NOT NULL)",
        )
        .bind(&ids)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        if again || !merged.is_empty() || !touched.is_empty() {
            self.cursors.joined();
        }
        if ours.iter().any(|s| s.link != Link::Keep) || !touched.is_empty() {
            self.wake_linked(now).await?;
        }
        Ok(Settled { records: ours.len(), fenced: fenced.len(), again })
    }

    /// Makes the records due whose slots wait for a link that has changed. It is safe to crash in
    /// between, because the mark stays until this is done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wake_linked(&self, now: DateTime<Utc>) -> Result<usize, QueueError> {
        let mut tx = self.begin().await?;
        // The lock waits for a settle that has read the old link and has not committed its slot
        // yet.
        let marked: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT id, link_mark FROM crm_record WHERE link_mark IS NOT NULL
             ORDER BY id LIMIT 1000 FOR NO KEY UPDATE",
        )
        .fetch_all(&mut *tx)
        .await?;
        if marked.is_empty() {
            return Ok(0);
        }
        let (ids, marks): (Vec<i64>, Vec<i64>) = marked.into_iter().unzip();
        let owners: Vec<i64> = sqlx::query_scalar(
            "SELECT record_id FROM crm_association WHERE target_id = ANY($1)
             UNION SELECT record_id FROM crm_association WHERE record_id = ANY($1)
             UNION SELECT a.record_id FROM crm_record r
                   JOIN crm_association a ON a.target_id = r.id WHERE r.alias_of = ANY($1)
             ORDER BY record_id",
        )
        .bind(&ids)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        // Its own transaction: locking owners and targets together could break the order of
        // locking.
        for owners in owners.chunks(1_000) {
            let mut tx = self.begin().await?;
            lock(&mut tx, owners).await?;
            // A different link makes it a different pair, so HubSpot may accept it.
            sqlx::query(
                "UPDATE crm_association SET refused = false
                 WHERE record_id = ANY($1) AND refused AND (target_id = ANY($2) OR record_id = ANY($2))",
            )
            .bind(owners)
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
            refresh(&mut tx, owners, now).await?;
            tx.commit().await?;
            self.cursors.joined();
        }
        sqlx::query(
            "UPDATE crm_record r SET link_mark = NULL FROM (
                 SELECT r.id FROM crm_record r
                 JOIN UNNEST($1::bigint[], $2::bigint[]) AS m (id, mark)
                      ON m.id = r.id AND m.mark = r.link_mark
                 ORDER BY r.id FOR NO KEY UPDATE OF r) AS done
             WHERE done.id = r.id",
        )
        .bind(&ids)
        .bind(&marks)
        .execute(&self.pool)
        .await?;
        Ok(owners.len())
    }
}
