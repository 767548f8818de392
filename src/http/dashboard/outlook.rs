//! What a retry of a row would send, property by property. Pure.
//!
//! The event is mapped with the files of today and laid against what HubSpot has accepted, as the
//! worker does at delivery. It is an outlook, not a promise: what arrives meanwhile is folded in,
//! and the account's schema has its say when it goes out.

use serde_json::{Map, Value};

use super::words::{Badge, masked};
use crate::event::EventType;
use crate::mapping::{Change, Input, Mapping, Operation};
use crate::queue::model::{Accepted, Stamp};

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) event_type: &'a str,
    pub(super) sync_type: &'a str,
    pub(super) external_id: &'a str,
    /// `None` once erased.
    pub(super) payload: Option<&'a Value>,
    pub(super) stamp: Stamp,
    pub(super) accepted: &'a Accepted,
    pub(super) linked: bool,
    /// HubSpot may hold something else than `accepted`: all of it goes again.
    pub(super) uncertain: bool,
    pub(super) deleted_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// What would go out.
#[derive(Debug, Clone)]
pub(super) struct Outlook {
    pub(super) summary: String,
    pub(super) lines: Vec<Line>,
    pub(super) revealed: bool,
}

/// One property or association.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) verdict: Badge,
    pub(super) why: String,
}

/// What a retry of `subject` would send.
pub(super) fn outlook(mapping: &Mapping, subject: &Subject<'_>, revealed: bool) -> Outlook {
    let empty = |summary: String| Outlook { summary, lines: Vec::new(), revealed };
    let change = match change(mapping, subject) {
        Ok(change) => change,
        Err(why) => return empty(why),
    };
    match change.operation {
        Operation::Archive => return empty("It would archive the record in HubSpot.".into()),
        Operation::Erase => return empty("It would erase the record in HubSpot for good.".into()),
        Operation::Upsert => {}
    }
    if subject.deleted_at.is_some_and(|dead| dead >= subject.stamp.at) {
        let why = "Nothing: the record was deleted after this event, so its values are void.";
        return empty(why.into());
    }
    let mut lines: Vec<Line> = change
        .properties
        .iter()
        .map(|(name, value)| line(subject, name, value, revealed))
        .collect();
    lines.extend(change.associations.iter().map(|(slot, target)| Line {
        name: slot.clone(),
        value: target.clone().unwrap_or_else(|| "nobody".into()),
        verdict: Badge::new("info", "association"),
        why: if target.is_some() {
            "made as soon as both ends are linked, unless a newer event says otherwise".into()
        } else {
            "dropped, unless a newer event says otherwise".into()
        },
    }));
    let goes = lines.iter().filter(|line| line.goes()).count();
    let summary = match (goes, subject.linked) {
        (0, true) => {
            "No property would be sent: HubSpot holds these values or newer ones. The row \
                      would end as synced."
                .into()
        }
        (n, true) => format!("{} would be sent as an update.", properties(n)),
        (n, false) => format!("{} would be sent to create the record.", properties(n)),
    };
    Outlook { summary, lines, revealed }
}

impl Line {
    fn goes(&self) -> bool {
        self.verdict.says("goes out") || self.verdict.says("clears")
    }
}

fn properties(n: usize) -> String {
    if n == 1 { "1 property".into() } else { format!("{n} properties") }
}

fn change(mapping: &Mapping, subject: &Subject<'_>) -> Result<Change, String> {
    let event_type: EventType =
        subject.event_type.parse().map_err(|_| "Its event type is not understood any more.")?;
    let empty = Map::new();
    let data = match subject.payload {
        Some(payload) => payload.as_object().unwrap_or(&empty),
        None => &empty,
    };
    let input = Input { event_type: &event_type, subject: subject.external_id, data };
    let changes = mapping.map(&input).map_err(|faults| {
        let first = faults.first();
        let detail = first.map_or("", |fault| fault.detail.as_str());
        let pointer = first.map_or("", |fault| fault.pointer.as_str());
        format!("It would fail again: the mapping files refuse the event now, {pointer} {detail}.")
    })?;
    changes.into_iter().find(|change| change.sync_type == subject.sync_type).ok_or_else(|| {
        "It would fail: the mapping files say nothing of this record any more.".into()
    })
}

fn line(subject: &Subject<'_>, name: &str, value: &str, revealed: bool) -> Line {
    let held = subject.accepted.get(name);
    let newer = held.filter(|held| held.stamp > subject.stamp);
    let same = held.is_some_and(|held| held.value == value);
    let (verdict, why) = if let Some(newer) = newer {
        let why = format!("row {} brought a newer value", newer.stamp.row);
        (Badge::new("", "stays"), why)
    } else if same && subject.linked && !subject.uncertain {
        (Badge::new("", "stays"), "HubSpot holds this value already".into())
    } else if value.is_empty() {
        (Badge::new("warn", "clears"), "the value is taken out".into())
    } else if same {
        (Badge::new("good", "goes out"), "sent again, since HubSpot may hold another".into())
    } else {
        (Badge::new("good", "goes out"), String::new())
    };
    let value = if revealed { value.to_owned() } else { masked(value) };
    Line { name: name.to_owned(), value, verdict, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Vars;
    use crate::queue::model::Register;
    use serde_json::json;

    #[test]
    fn each_property_says_whether_it_goes_out_and_why_not() {
        let mapping = Mapping::builtin(&Vars::default()).unwrap();
        let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let register = |value: &str, time: &str, row| Register {
            value: value.into(),
            stamp: Stamp { at: at(time), row },
        };
        let accepted = Accepted::from([
            ("firstname".to_owned(), register("Marie", "2026-11-01T00:00:00Z", 1)),
            ("lastname".to_owned(), register("Durand", "2026-11-20T00:00:00Z", 9)),
        ]);
        let payload =
            json!({ "email": "marie@company.fr", "first_name": "Marie", "last_name": "Dupont" });
        let mut subject = Subject {
            event_type: "user.updated",
            sync_type: "contact",
            external_id: "u-1",
            payload: Some(&payload),
            stamp: Stamp { at: at("2026-11-10T00:00:00Z"), row: 5 },
            accepted: &accepted,
            linked: true,
            uncertain: false,
            deleted_at: None,
        };
        let found = outlook(&mapping, &subject, false);
        let of = |found: &Outlook, name: &str| {
            let line = found.lines.iter().find(|line| line.name == name).unwrap();
            (line.verdict.to_string(), line.why.clone(), line.value.clone())
        };
        assert!(of(&found, "email").0.contains("goes out"));
        assert_eq!(of(&found, "email").2, "hidden, 16 characters");
        assert_eq!(of(&found, "firstname").1, "HubSpot holds this value already");
        assert_eq!(of(&found, "lastname").1, "row 9 brought a newer value");
        assert_eq!(of(&outlook(&mapping, &subject, true), "email").2, "marie@company.fr");

        subject.uncertain = true;
        assert!(of(&outlook(&mapping, &subject, false), "firstname").0.contains("goes out"));
        subject.deleted_at = Some(at("2026-11-11T00:00:00Z"));
        assert!(outlook(&mapping, &subject, false).summary.contains("deleted"));
        let refused = json!({ "email": "not an address" });
        subject.payload = Some(&refused);
        assert!(!outlook(&mapping, &subject, false).summary.contains("not an address"));
    }
}
