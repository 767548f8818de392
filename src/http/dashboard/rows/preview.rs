//! Renders the preview of what a retry would send, property by property, as the engine plans it.
//!
//! It is not a promise: events that arrive before the retry are folded in.

use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::words::{Badge, masked, sentence_end};
use crate::operator::views::{RecordPreview, ValuePreview};

/// The preview of one record.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Preview {
    pub(in crate::http::dashboard) record: String,
    pub(in crate::http::dashboard) href: String,
    pub(in crate::http::dashboard) summary: String,
    pub(in crate::http::dashboard) lines: Vec<Line>,
}

/// A property or an association.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Line {
    pub(in crate::http::dashboard) name: String,
    pub(in crate::http::dashboard) value: String,
    /// Whether the value is hidden and only its length is shown.
    pub(in crate::http::dashboard) hidden: bool,
    pub(in crate::http::dashboard) verdict: Badge,
    pub(in crate::http::dashboard) why: String,
}

/// Renders the previews, record by record.
pub(in crate::http::dashboard) fn previews(
    records: &[RecordPreview],
    revealed: bool,
) -> Vec<Preview> {
    records.iter().map(|record| preview(record, revealed)).collect()
}

fn preview(found: &RecordPreview, revealed: bool) -> Preview {
    let goes = |value: &&ValuePreview| matches!(value.verdict, "send" | "clear" | "altered");
    let summary = match (&found.note, found.properties.iter().filter(goes).count()) {
        (Some(note), _) => format!("The record {}", sentence_end(note)),
        (None, 0) => "No property would be sent.".into(),
        (None, 1) => format!("1 property would be sent{}.", purpose(found)),
        (None, n) => format!("{n} properties would be sent{}.", purpose(found)),
    };
    let properties = found.properties.iter().map(|value| line(value, revealed, true));
    // Associations are never hidden, because they are shown everywhere.
    let associations = found.associations.iter().map(|value| line(value, revealed, false));
    Preview {
        record: format!("{} {}", found.sync_type, found.external_id),
        href: link::record(&found.sync_type, &found.external_id),
        summary,
        lines: properties.chain(associations).collect(),
    }
}

fn purpose(found: &RecordPreview) -> &'static str {
    if found.linked { " as an update" } else { " to create the record" }
}

fn line(found: &ValuePreview, revealed: bool, personal: bool) -> Line {
    let (tone, word) = match found.verdict {
        "send" => ("good", "goes out"),
        "clear" => ("warn", "is cleared"),
        "altered" => ("warn", "goes out altered"),
        "unchanged" => ("", "is in HubSpot already"),
        "older" => ("", "not sent: older"),
        "void" => ("", "not sent: void"),
        "dropped" => ("warn", "is left out"),
        "waits" => ("warn", "waits"),
        "refused" => ("bad", "is refused"),
        other => ("", other),
    };
    let hidden = personal && !revealed && found.value.is_some();
    let value = match &found.value {
        Some(value) if hidden => masked(value),
        Some(value) => value.clone(),
        None => String::new(),
    };
    // The reason of an altered value contains the value that is sent, so it is hidden too.
    let tells = revealed || found.verdict != "altered";
    let why = found.reason.clone().filter(|_| tells).unwrap_or_default();
    Line { name: found.name.clone(), value, hidden, verdict: Badge::new(tone, word), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(verdict: &'static str) -> ValuePreview {
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
            properties: vec![value("send"), value("older"), value("clear")],
            associations: vec![ValuePreview { value: Some("b-7".into()), ..value("waits") }],
        };
        let hidden = preview(&record, false);
        assert_eq!(hidden.summary, "2 properties would be sent to create the record.");
        assert_eq!(hidden.lines[0].value, "hidden, 16 characters");
        assert_eq!(hidden.lines[3].value, "b-7");
        record.properties[0].verdict = "altered";
        record.properties[0].reason = Some("HubSpot's word is marie".into());
        assert_eq!(preview(&record, false).lines[0].why, "");
        assert_eq!(preview(&record, true).lines[0].value, "marie@company.fr");
        record.note = Some("is archived".into());
        assert_eq!(preview(&record, false).summary, "The record is archived.");
    }
}
