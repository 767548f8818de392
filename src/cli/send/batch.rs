//! Builds batches of events, and ids for events that have none.

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::SendArgs;
use crate::cli::input::{Input, Item, Survey};
use crate::event::canonical_hash;

/// The largest body, below what a server takes by default.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// The content of one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The events, unreadable lines among them.
    pub(super) items: Vec<Item>,
    /// The ordinal after its last event.
    pub(super) end: u64,
    /// Whether an event has no time of its own: it gets that of its arrival, so order matters.
    pub(super) timeless: bool,
    bytes: usize,
}

/// How events without an id are named.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    run: String,
    digest: [u8; 32],
    low: bool,
}

impl Naming {
    /// Of a file its content is part of every name, so that yesterday's row does not stand for
    /// today's. Where the content is not known, the run is.
    pub(super) fn new(args: &SendArgs, survey: Option<&Survey>) -> Self {
        let run = match (&args.run, survey) {
            (Some(run), _) => run.clone(),
            (None, Some(_)) => String::new(),
            (None, None) => Uuid::now_v7().simple().to_string(),
        };
        let digest = survey.map_or([0; 32], |survey| survey.digest);
        Self { run, digest, low: args.backfill }
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Adds the attributes that an event lacks.
    fn complete(&self, ordinal: u64, event: &mut Value) {
        let Value::Object(attributes) = event else { return };
        let absent = |name: &str, attributes: &serde_json::Map<String, Value>| {
            attributes.get(name).is_none_or(Value::is_null)
        };
        if self.low && absent("priority", attributes) {
            attributes.insert("priority".into(), "low".into());
        }
        if absent("id", attributes) {
            let id = self.id(ordinal, event);
            event["id"] = id.into();
        }
    }

    fn id(&self, ordinal: u64, event: &Value) -> String {
        let mut hash = Sha256::new();
        hash.update((self.run.len() as u64).to_be_bytes());
        hash.update(self.run.as_bytes());
        hash.update(self.digest);
        hash.update(ordinal.to_be_bytes());
        hash.update(canonical_hash(event));
        let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("send-{hex}")
    }
}

/// Reads `input` from event number `skip` on and hands batches of up to `size` to `give`, until it
/// answers `false`. Blocks.
pub(super) fn cut(
    input: Input,
    naming: &Naming,
    skip: u64,
    size: usize,
    mut give: impl FnMut(Batch) -> bool,
) -> anyhow::Result<()> {
    let mut batch = Batch::default();
    let mut open = true;
    input.read(&mut |mut item| {
        if item.ordinal < skip {
            return true;
        }
        let mut bytes = 0;
        if let Ok(event) = &mut item.event {
            naming.complete(item.ordinal, event);
            bytes = event.to_string().len() + 1;
        }
        let full = batch.items.len() >= size || batch.bytes + bytes > LARGEST_BODY;
        if full && !batch.items.is_empty() {
            open = give(std::mem::take(&mut batch));
        }
        batch.take(item, bytes);
        open
    })?;
    if open && !batch.items.is_empty() {
        give(batch);
    }
    Ok(())
}

impl Batch {
    fn take(&mut self, item: Item, bytes: usize) {
        self.timeless |=
            item.event.as_ref().is_ok_and(|event| event.get("time").is_none_or(Value::is_null));
        self.end = item.ordinal + 1;
        self.bytes += bytes;
        self.items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn naming(run: &str, digest: u8) -> Naming {
        Naming { run: run.into(), digest: [digest; 32], low: true }
    }

    #[test]
    fn an_id_is_made_of_run_file_place_and_event_and_given_only_where_there_is_none() {
        let id = |naming: Naming, ordinal, mut event: Value| {
            naming.complete(ordinal, &mut event);
            assert_eq!(event["priority"], "low");
            event["id"].as_str().unwrap().to_owned()
        };
        let event = || json!({ "type": "user.updated", "id": null });
        let first = id(naming("", 1), 0, event());
        assert_eq!(first, id(naming("", 1), 0, event()));
        let others = [
            id(naming("r", 1), 0, event()),
            id(naming("", 2), 0, event()),
            id(naming("", 1), 1, event()),
            id(naming("", 1), 0, json!({ "type": "user.created" })),
        ];
        assert!(others.iter().all(|other| *other != first), "{others:?}");
        assert_eq!(id(naming("", 1), 0, json!({ "id": "evt-1" })), "evt-1");
        let mut urgent = json!({ "id": "1", "priority": "high" });
        naming("", 1).complete(0, &mut urgent);
        assert_eq!(urgent["priority"], "high");
    }
}
