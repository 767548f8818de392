//! What would be sent: for failed rows before they are retried, and for events that nobody has sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::problem::Problem;
use crate::queue::QueueError;
use crate::queue::audit::record_target;
use crate::queue::enqueue::Admitted;
use crate::queue::model::Row;
use crate::queue::preview::{Foreseen, Outlook, Prospect};

/// How a record is explained. The engine knows; `app` hands it over, since nothing here imports it.
#[derive(Clone)]
pub struct Explain(Arc<dyn Fn(Prospect) -> Option<Outlook> + Send + Sync>);

impl Explain {
    /// Explains with `explain`; it answers `None` for a kind that no mapping file names.
    pub fn new(explain: impl Fn(Prospect) -> Option<Outlook> + Send + Sync + 'static) -> Self {
        Self(Arc::new(explain))
    }
}

impl fmt::Debug for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Explain")
    }
}

/// What would become of a record.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedRecord {
    /// The object kind.
    #[schema(example = "contact")]
    pub sync_type: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    pub external_id: String,
    /// Whether HubSpot has it already.
    pub linked: bool,
    /// What happens to it as a whole, where that is not a write.
    pub note: Option<String>,
    /// Property by property.
    pub properties: Vec<PlannedValue>,
    /// Association by association.
    pub associations: Vec<PlannedValue>,
}

/// What would become of a value.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedValue {
    /// The property, or the association's slot.
    #[schema(example = "email")]
    pub name: String,
    /// The value; `null` where there is none to show.
    pub value: Option<String>,
    /// `send`, `clear`, `unchanged`, `older`, `void` (before a delete), `dropped`, `altered`,
    /// `waits` or `refused`.
    #[schema(example = "send")]
    pub verdict: &'static str,
    /// Why.
    pub reason: Option<String>,
}

impl From<Foreseen> for PlannedValue {
    fn from(value: Foreseen) -> Self {
        let Foreseen { name, value, verdict, reason, .. } = value;
        Self { name, value, verdict, reason }
    }
}

impl From<Outlook> for PlannedRecord {
    fn from(outlook: Outlook) -> Self {
        Self {
            sync_type: outlook.sync_type,
            external_id: outlook.external_id,
            linked: outlook.linked,
            note: outlook.note,
            properties: outlook.properties.into_iter().map(PlannedValue::from).collect(),
            associations: outlook.associations.into_iter().map(PlannedValue::from).collect(),
        }
    }
}

/// What retrying these failed rows would send, record by record.
///
/// # Errors
/// When the database fails.
pub async fn of_rows(state: &AppState, rows: &[i64]) -> Result<Vec<PlannedRecord>, QueueError> {
    let prospects = state.queue.prospects(rows).await?;
    Ok(explained(state, prospects).await)
}

/// Folding takes a while: not on a thread that others wait for.
async fn explained(state: &AppState, prospects: Vec<Prospect>) -> Vec<PlannedRecord> {
    let explain = state.explain.clone();
    let all = move || {
        let outlooks = prospects.into_iter().filter_map(&*explain.0);
        outlooks.map(PlannedRecord::from).collect()
    };
    tokio::task::spawn_blocking(all).await.unwrap_or_default()
}

/// What these events would send, given what HubSpot holds already, record by record in the order in
/// which they are first named. The audit tells which records `actor` has seen the values of.
///
/// # Errors
/// When the database fails.
pub async fn of_events(
    state: &AppState,
    events: Vec<Admitted>,
    actor: &str,
) -> Result<Vec<PlannedRecord>, Problem> {
    let now = state.queue.now().await?;
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut keys = Vec::new();
    for change in events.iter().flat_map(|admitted| &admitted.changes) {
        let key = (change.sync_type.clone(), change.external_id.clone());
        if !places.contains_key(&key) {
            places.insert(key.clone(), keys.len());
            keys.push(key);
        }
    }
    let mut prospects = state.queue.prospects_of(&keys).await?;
    let known = prospects.iter().filter(|prospect| prospect.record.id != 0);
    let seen = known.map(|prospect| record_target(&prospect.sync_type, prospect.record.id));
    state.queue.note_reads(now, actor, &seen.collect::<Vec<_>>()).await?;
    for (Admitted { event, data, changes }, number) in events.into_iter().zip(0_i64..) {
        let data: Option<serde_json::Value> = serde_json::from_str(&data).ok();
        for change in changes {
            let key = (change.sync_type.clone(), change.external_id.clone());
            let Some(prospect) = places.get(&key).and_then(|&place| prospects.get_mut(place))
            else {
                continue;
            };
            // A delete of the survivor says nothing of an alias' values.
            let of_alias = (prospect.record.external_id != key.1).then_some(0);
            prospect.record.rows.push(Row {
                // Behind all rows there are.
                id: i64::MAX / 2 + number,
                operation: change.operation,
                retry_count: 0,
                along: false,
                created_at: now,
                occurred_at: event.time.unwrap_or(now),
                event_type: event.event_type.to_string(),
                subject: event.subject.clone(),
                data: data.clone(),
                of_alias,
                alias_tombstone: None,
            });
        }
    }
    Ok(explained(state, prospects).await)
}
