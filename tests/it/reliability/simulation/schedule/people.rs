//! What the application and people do.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use super::Lane;
use crate::reliability::simulation::story;
use crate::support;

impl Lane {
    pub(super) async fn pause(&mut self, paused: bool) {
        let verb = if paused { "/pause" } else { "/resume" };
        self.world.admin("POST", verb, Some(json!({}))).await;
        self.paused = paused;
        self.note(format!("a person: {verb}"));
    }

    /// People merge the two contacts, once both are linked. (Where a reply that would have linked one
    /// was lost before the merge, nothing tells it from two users with one address: a conflict.)
    pub(super) async fn merge(&mut self) {
        let links: Vec<String> = sqlx::query_scalar(
            "SELECT hubspot_id FROM crm_record
             WHERE sync_type = 'contact' AND hubspot_id IS NOT NULL ORDER BY external_id",
        )
        .fetch_all(self.world.queue.pool())
        .await
        .expect("links");
        let [mut primary, mut other]: [String; 2] = match links.try_into() {
            Ok(links) => links,
            Err(_) => return,
        };
        if self.dice.random_bool(0.5) {
            std::mem::swap(&mut primary, &mut other);
        }
        let survivor = self.world.sandbox.merge("contacts", &primary, &other).expect("a survivor");
        self.merged = true;
        self.note(format!("people merge {other} into {primary}: {survivor}"));
    }

    /// That they are one is known once both have been written since.
    pub(super) async fn both_are_written(&mut self) {
        for user in ["u-1", "u-2"] {
            self.told += 1;
            let data = json!({ "email": format!("{user}@example.com"), "first_name": self.told.to_string() });
            let id = format!("e{}", self.told);
            let event = support::event(&id, "user.updated", user, "2026-02-01T10:00:00Z", data);
            self.note(format!("the last event of {user}"));
            self.world.accept(&event).await;
            self.accepted.insert(id, event);
            self.rest().await;
        }
    }

    /// Of two that are one, the survivor or the alias is deleted, mostly, and the other stays.
    pub(super) async fn one_is_deleted(&mut self) {
        let Some(user) = [None, Some("u-1"), Some("u-2")].choose(&mut self.dice).copied().flatten()
        else {
            return;
        };
        self.told += 1;
        let (id, time) = (format!("e{}", self.told), "2026-02-02T10:00:00Z");
        let event = support::event(&id, "user.deleted", user, time, json!({}));
        self.note(format!("{user} is deleted"));
        self.world.accept(&event).await;
        self.accepted.insert(id, event);
        self.rest().await;
    }

    /// The application tells of something, sometimes once more.
    pub(super) async fn post(&mut self) {
        let mut body: Vec<Value> = Vec::new();
        for _ in 0..self.dice.random_range(1..4) {
            let again: Vec<&Value> = self.accepted.values().collect();
            match again.choose(&mut self.dice) {
                Some(&known) if self.dice.random_bool(0.1) => body.push(known.clone()),
                _ => {
                    self.told += 1;
                    let event = story::event(&mut self.dice, self.told, self.theme);
                    if !self.refused(&event).await {
                        body.push(event);
                    }
                    // What was drawn before an erasure comes after it all the same.
                    body.retain(|e| {
                        let subject = e["subject"].as_str().expect("text");
                        let known = self.accepted.contains_key(e["id"].as_str().expect("text"));
                        known
                            || e["type"].as_str().is_some_and(|t| t.ends_with(".deleted"))
                            || !self.erased.contains(subject)
                    });
                }
            }
        }
        // What is known is answered as it was, whatever was erased since.
        if body.is_empty() {
            return;
        }
        let told: Vec<String> = body
            .iter()
            .map(|e| {
                format!("{} {} {} {} {}", e["id"], e["type"], e["subject"], e["time"], e["data"])
            })
            .collect();
        self.note(format!("events: {}", told.join("; ")));
        self.world.accept(&json!(body)).await;
        for event in body {
            self.accepted.insert(event["id"].as_str().expect("an id").to_owned(), event);
        }
    }

    /// Whether `event` is nothing for a body with others: an erasure goes alone, and what comes after
    /// it is refused.
    pub(super) async fn refused(&mut self, event: &Value) -> bool {
        let text = |key: &str| event[key].as_str().expect("text").to_owned();
        let (kind, subject) = (text("type"), text("subject"));
        if kind.ends_with(".erased") {
            self.world.accept(event).await;
            self.note(format!("the application erases {subject}"));
            self.accepted.insert(text("id"), event.clone());
            self.erased.insert(subject);
            return true;
        }
        if kind.ends_with(".deleted") || !self.erased.contains(&subject) {
            return false;
        }
        let (status, answer) = self.world.post(event).await;
        assert_eq!((status, &answer["code"]), (422, &json!("subject_erased")), "{answer}");
        self.note(format!("an event of {subject}, which was erased, is refused"));
        true
    }
}
