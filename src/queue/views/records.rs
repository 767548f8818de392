//! Reads records for people: link, accepted values, associations and history. Also resyncs a
//! record.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};

use crate::queue::views::page::{Listing, Page};
use crate::queue::{Queue, QueueError};

/// A record as the API and the dashboard show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RecordView {
    /// The record's id in the queue.
    pub id: i64,
    /// The object kind.
    pub sync_type: String,
    /// The application's id of the entity.
    pub external_id: String,
    /// The id of the linked HubSpot record.
    pub hubspot_id: Option<String>,
    /// property -> [value, event time, row].
    pub accepted: serde_json::Value,
    /// Whether HubSpot may hold other values than `accepted`. The next call then sends all of them.
    pub uncertain: bool,
    /// Whether a person requested a resync that has not happened yet.
    pub resyncing: bool,
    /// The number of transient failures in a row.
    pub failures: i32,
    /// When the record is due.
    pub due_at: Option<DateTime<Utc>>,
    /// The call that it is due for.
    pub stage: Option<String>,
    /// When its backoff ends.
    pub backoff_until: Option<DateTime<Utc>>,
    /// What the record waits for.
    pub waiting_reason: Option<String>,
    /// When it stops waiting for that.
    pub waiting_until: Option<DateTime<Utc>>,
    /// The worker that holds its lease.
    pub lease_holder: Option<String>,
    /// When the lease expires.
    pub lease_until: Option<DateTime<Utc>>,
    /// When the record was first mentioned in an event.
    pub created_at: DateTime<Utc>,
    /// When it was last written to HubSpot.
    pub synced_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// When its erasure was requested.
    pub erased_at: Option<DateTime<Utc>>,
    /// The external id of the record it was merged into.
    pub merged_into: Option<String>,
    /// When it was adopted, if HubSpot had it before hubferry.
    pub adopted_at: Option<DateTime<Utc>>,
    /// The row that caused the adoption.
    pub adopted_by: Option<i64>,
}

impl RecordView {
    /// Whether the record has anything that can be sent again.
    #[must_use]
    pub fn can_resync(&self) -> bool {
        let owns = self.accepted.as_object().is_some_and(|values| !values.is_empty());
        let there = self.hubspot_id.is_some() || (owns && self.deleted_at.is_none());
        there && self.erased_at.is_none() && self.merged_into.is_none()
    }
}

/// The state of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// The record is linked.
    Linked,
    /// The record is not linked and was not deleted.
    Unlinked,
    /// The record waits for something that has not arrived.
    Waiting,
    /// HubSpot may hold other values than were accepted.
    Uncertain,
    /// The record was merged into another record.
    Merged,
    /// The record was deleted and is not linked.
    Deleted,
    /// The erasure of the record was requested.
    Erased,
}

impl RecordState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Linked,
        Self::Unlinked,
        Self::Waiting,
        Self::Uncertain,
        Self::Merged,
        Self::Deleted,
        Self::Erased,
    ];

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Unlinked => "unlinked",
            Self::Waiting => "waiting",
            Self::Uncertain => "uncertain",
            Self::Merged => "merged",
            Self::Deleted => "deleted",
            Self::Erased => "erased",
        }
    }

    fn condition(self) -> &'static str {
        match self {
            Self::Linked => " AND r.hubspot_id IS NOT NULL",
            Self::Unlinked => " AND r.hubspot_id IS NULL AND r.tombstone_at IS NULL",
            Self::Waiting => " AND r.waiting_until IS NOT NULL",
            Self::Uncertain => " AND r.doubt <> 0 AND r.doubt IS DISTINCT FROM r.resync_doubt",
            Self::Merged => " AND r.alias_of IS NOT NULL",
            Self::Deleted => " AND r.tombstone_at IS NOT NULL AND r.hubspot_id IS NULL",
            Self::Erased => " AND r.erased_at IS NOT NULL",
        }
    }
}

impl std::str::FromStr for RecordState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no state of a record: use one of {words}")
        })
    }
}

/// Selects records. An absent field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// The object kind.
    pub sync_type: Option<String>,
    /// The state of the record.
    pub state: Option<RecordState>,
    /// An external id or a HubSpot id.
    pub search: Option<String>,
}

/// An association of a record as the API and the dashboard show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AssociationView {
    /// The slot.
    pub slot: String,
    /// The other end's object kind.
    pub target_type: Option<String>,
    /// The other end's external id.
    pub target: Option<String>,
    /// `made`, `due`, `parked` (the other end does not exist yet), `refused` or `none`.
    pub state: String,
    /// When the event that set it happened.
    pub set_at: DateTime<Utc>,
    /// The row that set it.
    pub set_by: i64,
}

const COLUMNS: &str = "SELECT r.id, r.sync_type, r.external_id, r.hubspot_id, r.accepted,
    r.doubt <> 0 AND r.doubt IS DISTINCT FROM r.resync_doubt AS uncertain,
    r.doubt <> 0 AND r.doubt IS NOT DISTINCT FROM r.resync_doubt AS resyncing,
    r.failures, r.due_at, r.stage, r.backoff_until, r.waiting_reason, r.waiting_until,
    r.lease_holder, r.lease_until, r.created_at, r.synced_at,
    r.tombstone_at AS deleted_at, r.erased_at, s.external_id AS merged_into,
    CASE WHEN r.hubspot_id IS NOT NULL THEN r.adopted_at END AS adopted_at,
    CASE WHEN r.hubspot_id IS NOT NULL THEN r.adopted_by END AS adopted_by
    FROM crm_record r LEFT JOIN crm_record s ON s.id = r.alias_of WHERE r.portal = ";

impl Queue {
    /// Returns a page of records.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn records(
        &self,
        filter: &RecordFilter,
        page: &Page,
    ) -> Result<Listing<RecordView>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
        query.push_bind(self.portal().to_owned());
        if let Some(sync_type) = &filter.sync_type {
            query.push(" AND r.sync_type = ").push_bind(sync_type.clone());
        }
        if let Some(state) = filter.state {
            query.push(state.condition());
        }
        if let Some(text) = filter.search.as_deref().map(str::trim).filter(|t| !t.is_empty()) {
            query.push(" AND r.id IN (SELECT o.id FROM crm_record o WHERE o.portal = ");
            query.push_bind(self.portal().to_owned());
            query.push(
                " AND o.sync_type IN (SELECT sync_type FROM known_kind) AND (o.hubspot_id = ",
            );
            query.push_bind(text.to_owned());
            query.push(" OR o.external_id = ").push_bind(text.to_owned()).push("))");
        }
        page.end(&mut query, "r.id");
        let found = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(Listing::of(found, page, |record: &RecordView| record.id))
    }

    /// Returns one record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_by_key(
        &self,
        sync_type: &str,
        external_id: &str,
    ) -> Result<Option<RecordView>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
        query.push_bind(self.portal().to_owned());
        query.push(" AND r.sync_type = ").push_bind(sync_type.to_owned());
        query.push(" AND r.external_id = ").push_bind(external_id.to_owned());
        Ok(query.build_query_as().fetch_optional(&self.pool).await?)
    }

    pub(in crate::queue) async fn record(&self, id: i64) -> Result<Option<RecordView>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
        query.push_bind(self.portal().to_owned());
        query.push(" AND r.id = ").push_bind(id);
        Ok(query.build_query_as().fetch_optional(&self.pool).await?)
    }

    /// Returns the associations of a record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn associations(&self, record: i64) -> Result<Vec<AssociationView>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT a.slot, t.sync_type AS target_type, t.external_id AS target, a.set_at, a.set_by,
                    CASE WHEN a.refused THEN 'refused'
                         WHEN EXISTS (SELECT 1 FROM association_owed o
                                      WHERE o.record_id = a.record_id AND o.slot = a.slot
                                        AND o.entry = a.entry) THEN 'due'
                         WHEN a.target_id IS NULL THEN 'none'
                         WHEN a.made_to IS NULL THEN 'parked'
                         ELSE 'made' END AS state
             FROM crm_association a LEFT JOIN crm_record t ON t.id = a.target_id
             WHERE a.record_id = $1 ORDER BY a.slot, a.entry",
        )
        .bind(record)
        .fetch_all(&self.pool)
        .await?)
    }
}
