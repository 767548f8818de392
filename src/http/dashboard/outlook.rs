//! Previews what a retry would send, property by property, as the engine plans it.
//!
//! It is not a promise: events that arrive before the retry are folded in.

use super::link;
use super::words::{Badge, masked};
use crate::engine::preview::{RecordPreview, ValuePreview};
use crate::http::AppState;
use crate::http::preview::of_rows;
use crate::queue::QueueError;

/// The preview of one record.
#[derive(Debug, Clone)]
pub(super) struct Outlook {
    pub(super) record: String,
    pub(super) href: String,
    pub(super) summary: String,
    pub(super) lines: Vec<Line>,
}

/// A property or an association.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: String,
    /// Whether the value is hidden and only its length is shown.
    pub(super) hidden: bool,
    pub(super) verdict: Badge,
    pub(super) why: String,
}

/// Previews what a retry of these failed rows would send, record by record.
pub(super) async fn outlooks(
    state: &AppState,
    rows: &[i64],
    revealed: bool,
) -> Result<Vec<Outlook>, QueueError> {
    let records = of_rows(state, rows).await?;
    Ok(records.iter().map(|record| outlook(record, revealed)).collect())
}

fn outlook(planned: &RecordPreview, revealed: bool) -> Outlook {
    let goes = |value: &&ValuePreview| matches!(value.verdict, "send" | "clear" | "altered");
    let summary = match (&planned.note, planned.properties.iter().filter(goes).count()) {
        (Some(note), _) => format!("The record {}", sentence_end(note)),
        (None, 0) => "No property would be sent.".into(),
        (None, 1) => format!("1 property would be sent{}.", purpose(planned)),
        (None, n) => format!("{n} properties would be sent{}.", purpose(planned)),
    };
    let properties = planned.properties.iter().map(|value| line(value, revealed, true));
    // Associations are never hidden, because they are shown everywhere.
    let associations = planned.associations.iter().map(|value| line(value, revealed, false));
    Outlook {
        record: format!("{} {}", planned.sync_type, planned.external_id),
        href: link::record(&planned.sync_type, &planned.external_id),
        summary,
        lines: properties.chain(associations).collect(),
    }
}

fn purpose(planned: &RecordPreview) -> &'static str {
    if planned.linked { " as an update" } else { " to create the record" }
}

fn line(planned: &ValuePreview, revealed: bool, personal: bool) -> Line {
    let (tone, word) = match planned.verdict {
        "send" => ("good", "goes out"),
        "clear" => ("warn", "is cleared"),
        "altered" => ("warn", "goes out altered"),
        "unchanged" => ("", "stands already"),
        "older" => ("", "stays: older"),
        "void" => ("", "stays: void"),
        "dropped" => ("warn", "is left out"),
        "waits" => ("warn", "waits"),
        "refused" => ("bad", "is refused"),
        other => ("", other),
    };
    let hidden = personal && !revealed && planned.value.is_some();
    let value = match &planned.value {
        Some(value) if hidden => masked(value),
        Some(value) => value.clone(),
        None => String::new(),
    };
    // The reason of an altered value contains the value that is sent, so it is hidden too.
    let tells = revealed || planned.verdict != "altered";
    let why = planned.reason.clone().filter(|_| tells).unwrap_or_default();
    Line { name: planned.name.clone(), value, hidden, verdict: Badge::new(tone, word), why }
}

/// Returns the text with a full stop at its end.
fn sentence_end(text: &str) -> String {
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{text}{stop}")
}

/// Returns the text with a capital letter at its start and a full stop at its end.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    sentence_end(&format!("{}{}", first.to_uppercase(), chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(verdict: &'static str) -> ValuePreview {
        let value = Some("marie@company.fr".to_owned());
        ValuePreview { name: "email".into(), value, verdict, reason: None }
    }

    #[test]
    fn values_are_hidden_until_they_are_revealed() {
        let mut record = RecordPreview {
            sync_type: "contact".into(),
            external_id: "u-1".into(),
            linked: false,
            note: None,
            properties: vec![planned("send"), planned("older"), planned("clear")],
            associations: vec![ValuePreview { value: Some("b-7".into()), ..planned("waits") }],
        };
        let hidden = outlook(&record, false);
        assert_eq!(hidden.summary, "2 properties would be sent to create the record.");
        assert_eq!(hidden.lines[0].value, "hidden, 16 characters");
        assert_eq!(hidden.lines[3].value, "b-7");
        record.properties[0].verdict = "altered";
        record.properties[0].reason = Some("HubSpot's word is marie".into());
        assert_eq!(outlook(&record, false).lines[0].why, "");
        assert_eq!(outlook(&record, true).lines[0].value, "marie@company.fr");
        record.note = Some("is archived".into());
        assert_eq!(outlook(&record, false).summary, "The record is archived.");
    }
}
