//! Finds the receipts of events that were accepted before, to answer duplicates.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::queue::QueueError;
use crate::queue::intake::enqueue::{Admitted, Key, Receipt, RowReceipt, key};

/// Returns the receipts of `events`, which are stored, with the current status of their rows.
pub(super) async fn known_events<'a>(
    db: &mut PgConnection,
    portal: &str,
    events: &[&'a Admitted],
) -> Result<HashMap<Key<'a>, Receipt>, QueueError> {
    let mut receipts: HashMap<Key<'a>, Receipt> = HashMap::new();
    if events.is_empty() {
        return Ok(receipts);
    }
    let (mut places, mut ids, mut sources) = (vec![], vec![], vec![]);
    for (place, event) in (0_i32..).zip(events) {
        let event_id = event.event.id.clone();
        receipts.insert(key(event), Receipt { event_id, duplicate: true, rows: Vec::new() });
        places.push(place);
        ids.push(event.event.id.as_str());
        sources.push(event.event.source.as_str());
    }
    let rows: Vec<(i32, i64, String, String, String, String)> = sqlx::query_as(
        "SELECT k.place, v.id, v.sync_type, v.output, v.external_id, v.status
             FROM UNNEST($2::int[], $3::text[], $4::text[]) AS k (place, id, source)
             CROSS JOIN LATERAL (
                 SELECT row_ids FROM event
                 WHERE id = k.id AND source = k.source AND portal = $1 LIMIT 1) AS e
             JOIN sync_queue_view v ON v.id = ANY(e.row_ids)
             ORDER BY v.id",
    )
    .bind(portal)
    .bind(places)
    .bind(ids)
    .bind(sources)
    .fetch_all(db)
    .await?;
    for (place, id, sync_type, output, external_id, status) in rows {
        let event = usize::try_from(place).ok().and_then(|place| events.get(place));
        if let Some(receipt) = event.and_then(|event| receipts.get_mut(&key(event))) {
            receipt.rows.push(RowReceipt { id, sync_type, output, external_id, status });
        }
    }
    Ok(receipts)
}
