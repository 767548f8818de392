//! What a person or a program may do to a running service, and what they may look at: each verb and
//! each read once.
//!
//! The admin API and the dashboard read a request, call this module and render its answer. So a
//! limit, a check, a text or an audit line is the same in all of them. This module knows no HTTP.
//! Roles are checked by the callers, which know who asks.

pub mod bounds;
pub mod cache;
mod error;
pub mod keys;
pub mod lists;
pub mod preview;
mod queue;
pub mod records;
pub mod rows;
mod settings;
pub mod status;
pub mod tail;
pub mod views;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, Actor};
use crate::mapping::Mapping;
use crate::portals::{Portal, SharedDefinitions};
use crate::queue::views::errors::ErrorGroup;
use crate::queue::{Queue, QueueError};
use crate::settings::Live;
use cache::Cache;
pub use error::OperatorError;
use status::Snapshot;
use tail::Tail;

/// Every verb and read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Separate connections with a statement timeout, so that events never wait for a person.
    queue: Queue,
    access: Access,
    settings: Live,
    mapping: Arc<Mapping>,
    /// HubSpot's property definitions, for previews.
    definitions: SharedDefinitions,
    snapshot: Arc<Cache<Snapshot>>,
    errors: Arc<Cache<Vec<ErrorGroup>>>,
    tail: Tail,
}

/// How a person or a program gets to see personal data, which decides what the audit says.
#[derive(Debug, Clone, Copy)]
pub enum Reveal<'a> {
    /// The values are not shown.
    No,
    /// A program reads them: the audit has a line for each key, target and hour.
    ToProgram(&'a Actor),
    /// A person asked for them: the audit has a line each time.
    ToPerson(&'a Actor),
}

impl Operator {
    /// Creates the verbs and reads of `portal`. `shutdown` ends those who follow the log.
    #[must_use]
    pub fn new(portal: Portal, access: Access, shutdown: CancellationToken) -> Self {
        let Portal { queue, mapping, settings, definitions } = portal;
        let tail = Tail::new(queue.clone(), shutdown);
        let (snapshot, errors) = (Arc::default(), Arc::default());
        Self { queue, access, settings, mapping, definitions, snapshot, errors, tail }
    }

    /// Returns the database's time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn now(&self) -> Result<DateTime<Utc>, OperatorError> {
        Ok(self.queue.now().await?)
    }

    /// Returns the mapping.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Writes in the audit that the values of `target` were shown, if they are.
    async fn note_reveal(&self, reveal: Reveal<'_>, target: String) -> Result<(), QueueError> {
        match reveal {
            Reveal::No => Ok(()),
            Reveal::ToProgram(actor) => {
                let now = self.queue.now().await?;
                self.queue.note_reads(now, &actor.name, &[target]).await
            }
            Reveal::ToPerson(actor) => {
                let now = self.queue.now().await?;
                self.queue.note(now, &actor.name, "reveal", Some(&target), json!({})).await
            }
        }
    }
}
