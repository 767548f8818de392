//! What the application tells of: few entities, so that everything happens to the same ones.

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value, json};

use crate::support;

/// What a schedule has besides what all have: rows that arrive in any order, and deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Plain,
    /// Entities are erased.
    Erasures,
    /// People merge the two contacts in HubSpot, and both are deleted and come back like all others.
    Merges,
}

impl Theme {
    /// The first thousand are plain.
    pub fn of(seed: u64) -> Self {
        match seed % 3 {
            1 if seed >= 1_000 => Self::Erasures,
            2 if seed >= 1_000 => Self::Merges,
            _ => Self::Plain,
        }
    }
}

const KINDS: [(&str, &str); 4] =
    [("user", "u-1"), ("user", "u-2"), ("business", "b-1"), ("milestone", "m-1")];

/// The event number `n`.
pub fn event(dice: &mut StdRng, n: usize, theme: Theme) -> Value {
    let &(kind, id) = KINDS.choose(dice).expect("an entity");
    // Few, so that times tie.
    let start: DateTime<Utc> = "2026-01-01T10:00:00Z".parse().expect("a time");
    let time = (start + TimeDelta::days(dice.random_range(0..5))).to_rfc3339();
    let verb = match dice.random_range(0..10) {
        0..5 => "created",
        5..9 => "updated",
        _ if theme == Theme::Erasures && dice.random_bool(0.5) => "erased",
        _ => "deleted",
    };
    let mut data = Map::new();
    let mut maybe =
        |data: &mut Map<String, Value>, name: &str, value: Value| match dice.random_range(0..10) {
            0..4 => drop(data.insert(name.into(), value)),
            4 => drop(data.insert(name.into(), Value::Null)),
            _ => {}
        };
    if verb != "deleted" && verb != "erased" {
        match kind {
            "user" => {
                data.insert("email".into(), json!(format!("{id}@example.com")));
                maybe(&mut data, "first_name", json!(format!("Ann {n}")));
                maybe(&mut data, "job_title", json!(format!("Title {n}")));
                maybe(&mut data, "business_id", json!("b-1"));
            }
            "business" => {
                data.insert("name".into(), json!(format!("Business {n}")));
                maybe(&mut data, "description", json!(format!("Line {n}")));
            }
            _ => {
                let currency = if n.is_multiple_of(5) { "GBP" } else { "EUR" };
                let amount = json!({ "value": format!("{n}.00"), "currency": currency });
                if verb == "created" {
                    data.insert("name".into(), json!(format!("Milestone {n}")));
                    data.insert("status".into(), json!("sent"));
                }
                maybe(&mut data, "amount", amount);
                maybe(&mut data, "description", json!(format!("Line {n}")));
                maybe(&mut data, "client_user_id", json!("u-1"));
            }
        }
    }
    support::event(&format!("e{n}"), &format!("{kind}.{verb}"), id, &time, Value::Object(data))
}
