//! What the events of one subject supplied, if several subjects share a HubSpot record.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::queue::QueueError;
use crate::queue::model::{Accepted, Stamp};

/// The newest values that one subject's own events supplied and that HubSpot was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Own {
    pub(super) properties: Accepted,
    /// Slot -> target, event time, row.
    pub(super) slots: BTreeMap<String, (Option<i64>, DateTime<Utc>, i64)>,
}

impl Own {
    /// Removes and returns what is not newer than `tombstone`, or everything.
    pub(super) fn void(&mut self, tombstone: Option<Stamp>) -> Self {
        let dead = |stamp: Stamp| tombstone.is_none_or(|dead| stamp <= dead);
        let slot = |at: DateTime<Utc>, row: i64| dead(Stamp { at, row });
        Own {
            properties: self.properties.extract_if(.., |_, r| dead(r.stamp)).collect(),
            slots: self.slots.extract_if(.., |_, s| slot(s.1, s.2)).collect(),
        }
    }

    /// The rows that supplied it.
    pub(super) fn rows(&self) -> Vec<i64> {
        let values = self.properties.values().map(|register| register.stamp.row);
        values.chain(self.slots.values().map(|slot| slot.2)).collect()
    }
}

/// Reads what a record supplied, if that is stored separately.
pub(super) async fn load(db: &mut PgConnection, record: i64) -> Result<Option<Own>, QueueError> {
    let own: Option<Json<Own>> = sqlx::query_scalar("SELECT brought FROM crm_record WHERE id = $1")
        .bind(record)
        .fetch_one(db)
        .await?;
    Ok(own.map(|own| own.0))
}

/// Stores what a record supplied.
pub(super) async fn store(db: &mut PgConnection, record: i64, own: &Own) -> Result<(), QueueError> {
    sqlx::query("UPDATE crm_record SET brought = $2 WHERE id = $1")
        .bind(record)
        .bind(Json(own))
        .execute(db)
        .await?;
    Ok(())
}
