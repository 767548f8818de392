//! Previews what would be sent: for failed rows before a retry, and for events that have not been
//! sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bounds::PREVIEW_EVENTS;
use super::views::{Actor, RecordPreview};
use super::{Operator, OperatorError};
use crate::engine::preview::preview;
use crate::queue::audit::record_target;
use crate::queue::intake::enqueue::Admitted;
use crate::queue::model::Row;
use crate::queue::views::preview::PreviewInput;

impl Operator {
    /// Previews what a retry of these failed rows would send, record by record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn previews_of_rows(
        &self,
        rows: &[i64],
    ) -> Result<Vec<RecordPreview>, OperatorError> {
        let inputs = self.queue.preview_inputs(rows).await?;
        self.previews(inputs).await
    }

    /// Folding takes time, so it does not run on a thread that serves requests.
    async fn previews(
        &self,
        inputs: Vec<PreviewInput>,
    ) -> Result<Vec<RecordPreview>, OperatorError> {
        self.definitions.refresh().await?;
        let (mapping, definitions) = (Arc::clone(&self.mapping), self.definitions.cache().clone());
        let of = move |input: PreviewInput| {
            preview(&mapping, definitions.of(&input.sync_type).as_deref(), input)
        };
        let all = move || inputs.into_iter().filter_map(of).collect();
        Ok(tokio::task::spawn_blocking(all).await.unwrap_or_default())
    }

    /// Previews what these events would send, given what HubSpot has already. Records come in the order
    /// in which the events first name them. The audit log records whose values `actor` has seen.
    ///
    /// # Errors
    /// When there are too many events, or the database fails.
    pub async fn preview_events(
        &self,
        events: Vec<Admitted>,
        actor: &Actor,
    ) -> Result<Vec<RecordPreview>, OperatorError> {
        if events.len() > PREVIEW_EVENTS {
            return Err(OperatorError::TooManyEvents);
        }
        let now = self.queue.now().await?;
        let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut keys = Vec::new();
        for change in events.iter().flat_map(|admitted| &admitted.changes) {
            let key = (change.sync_type.clone(), change.external_id.clone());
            if !places.contains_key(&key) {
                places.insert(key.clone(), keys.len());
                keys.push(key);
            }
        }
        let mut inputs = self.queue.preview_inputs_of(&keys).await?;
        let known = inputs.iter().filter(|input| input.record.id != 0);
        let seen = known.map(|input| record_target(&input.sync_type, input.record.id));
        self.queue.note_reads(now, &actor.name, &seen.collect::<Vec<_>>()).await?;
        // Numbers after those of all existing rows, one for each change.
        let mut number = i64::MAX / 2;
        for Admitted { event, data, changes } in events {
            let data: Option<serde_json::Value> = serde_json::from_str(&data).ok();
            for change in changes {
                let key = (change.sync_type.clone(), change.external_id.clone());
                let Some(input) = places.get(&key).and_then(|&place| inputs.get_mut(place)) else {
                    continue;
                };
                // A delete of the surviving record does not apply to the values of an alias.
                let of_alias = (input.record.external_id != key.1).then_some(0);
                number += 1;
                input.record.rows.push(Row {
                    id: number,
                    output: change.output,
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
        self.previews(inputs).await
    }
}
