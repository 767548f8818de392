//! Prints the preview, for people and for programs.

use serde_json::{Value, json};

use super::calls;
use super::gather::Gathered;
use super::verdict::{Judged, Verdict, Word};
use crate::cli::text;
use crate::cli::text::{plain, table};
use crate::hubspot::Call;

/// A line more of a text.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {{
        $out.push_str(&format!($($text)*));
        $out.push('\n');
    }};
}

/// All that is shown.
pub(super) struct Plan<'a> {
    pub(super) calls: &'a [Call],
    pub(super) judged: &'a [Judged],
    pub(super) gathered: &'a Gathered,
    /// The server's answer, if it was asked.
    pub(super) held: Option<&'a Value>,
    /// Whether the account was asked for its properties.
    pub(super) fitted: bool,
}

impl Plan<'_> {
    pub(super) fn json(&self) -> String {
        let refused: Vec<Value> =
            self.gathered
                .refused
                .iter()
                .map(|refused| {
                    let faults = refused.faults.iter().map(
                        |f| json!({ "pointer": f.pointer, "code": f.code, "detail": f.detail }),
                    );
                    json!({ "line": refused.line, "errors": faults.collect::<Vec<_>>() })
                })
                .collect();
        let duplicates = self.gathered.duplicates.iter();
        let duplicates: Vec<Value> =
            duplicates.map(|(line, of)| json!({ "line": line, "of": of })).collect();
        format!(
            "{}\n",
            json!({ "calls": self.calls.iter().map(calls::show).collect::<Vec<_>>(),
                    "records": self.judged, "refused": refused, "duplicates": duplicates,
                    "server": self.held })
        )
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (number, call) in self.calls.iter().enumerate() {
            let inputs = text::count(call.inputs as u64, "input");
            line!(
                out,
                "call {}: {} {}  ({}, {inputs})",
                number + 1,
                call.method,
                call.path,
                call.purpose
            );
            let body = call.body.as_ref().and_then(|b| serde_json::to_string_pretty(b).ok());
            line!(out, "{}\n", body.unwrap_or_default());
        }
        for judged in self.judged {
            line!(out, "{} {}", judged.sync_type, plain(&judged.external_id, 200));
            if let Some(note) = &judged.note {
                line!(out, "  {note}");
            }
            let all = judged.properties.iter().chain(&judged.associations);
            out.push_str(&indented(&table(&all.map(row).collect::<Vec<_>>())));
        }
        for (line, of) in &self.gathered.duplicates {
            line!(out, "line {line}: a duplicate of line {of}, accepted and not sent again");
        }
        if let Some(held) = self.held {
            server(held, &mut out);
        }
        for refused in &self.gathered.refused {
            for fault in &refused.faults {
                let place = plain(&fault.pointer, 200);
                line!(
                    out,
                    "REFUSED line {}: {place} {} ({})",
                    refused.line,
                    plain(&fault.detail, 300),
                    fault.code
                );
            }
        }
        let how = if self.fitted {
            "adapted to the account"
        } else {
            "not adapted to the account, see --account"
        };
        line!(
            out,
            "\n{}, {}; {} would be refused; values {how}",
            text::count(self.judged.len() as u64, "record"),
            text::count(self.calls.len() as u64, "call"),
            text::count(self.gathered.refused.len() as u64, "event")
        );
        out
    }
}

fn row(verdict: &Verdict) -> Vec<String> {
    let word = match verdict.verdict {
        Word::Send => "sent",
        Word::Clear => "cleared",
        Word::Older => "not sent",
        Word::Void => "void",
        Word::Dropped => "dropped",
        Word::Altered => "altered",
        Word::Waits => "waits",
        Word::Unmapped => "not mapped",
        Word::Refused => "refused",
    };
    let mut row = vec![
        word.to_owned(),
        format!("line {}", verdict.line),
        plain(&verdict.name, 80),
        plain(verdict.value.as_deref().unwrap_or(""), 60),
    ];
    row.extend(verdict.reason.as_ref().map(|reason| plain(reason, 300)));
    row
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// The server's verdicts on records that HubSpot has already.
fn server(held: &Value, out: &mut String) {
    line!(out, "the server, given what HubSpot has:");
    for record in held["records"].as_array().into_iter().flatten() {
        let word = |value: &Value| plain(value.as_str().unwrap_or(""), 200);
        let linked =
            if record["linked"] == true { "is in HubSpot" } else { "is not in HubSpot yet" };
        line!(out, "  {} {} {linked}", word(&record["sync_type"]), word(&record["external_id"]));
        let mut rows = Vec::new();
        for property in record["properties"].as_array().into_iter().flatten() {
            let mut row =
                vec![word(&property["verdict"]), word(&property["name"]), word(&property["value"])];
            row.extend(Some(word(&property["reason"])).filter(|reason| !reason.is_empty()));
            rows.push(row);
        }
        out.push_str(&indented(&indented(&table(&rows))));
    }
}
