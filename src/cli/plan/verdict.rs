//! Says for each property whether it would be sent, and why or why not.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::calls::Line;
use super::gather::Gathered;
use crate::engine::fold::MappedRow;
use crate::engine::plan::Need;
use crate::mapping::Operation;
use crate::queue::model::Stamp;

/// What happens to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    /// It is sent.
    Send,
    /// The property is cleared.
    Clear,
    /// A newer event has another value.
    Older,
    /// A delete came after it.
    Void,
    /// Left out, with a warning on the row.
    Dropped,
    /// It is sent altered, with a warning on the row.
    Altered,
    /// It waits for something that has not arrived yet.
    Waits,
    /// No mapping file reads it.
    Unmapped,
    /// Its row cannot be sent.
    Refused,
}

/// One value of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// The property, the slot, or the pointer of what is not mapped.
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// The line of the event.
    pub(super) line: u64,
    pub(super) verdict: Word,
    pub(super) reason: Option<String>,
}

/// A record with its verdicts.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Judged {
    pub(super) sync_type: String,
    pub(super) external_id: String,
    /// What happens to it as a whole, where that is not a write.
    pub(super) note: Option<String>,
    pub(super) properties: Vec<Verdict>,
    pub(super) associations: Vec<Verdict>,
}

/// The verdicts of all records.
pub(super) fn judge(lines: &[Line<'_>], gathered: &Gathered) -> Vec<Judged> {
    let awaited = super::calls::awaited(lines);
    let judge = Judge { lines: &gathered.lines, awaited: &awaited };
    let mut judged: Vec<Judged> = lines.iter().map(|line| judge.record(line)).collect();
    for (place, line, pointers) in &gathered.unread {
        let Some(judged) = judged.get_mut(*place) else { continue };
        judged.properties.extend(pointers.iter().map(|pointer| Verdict {
            name: pointer.clone(),
            value: None,
            line: *line,
            verdict: Word::Unmapped,
            reason: Some("no mapping file reads it".into()),
        }));
    }
    judged
}

struct Judge<'a> {
    lines: &'a HashMap<i64, u64>,
    awaited: &'a HashSet<(String, String)>,
}

impl Judge<'_> {
    fn line(&self, stamp: Stamp) -> u64 {
        self.lines.get(&stamp.row).copied().unwrap_or(0)
    }

    fn record(&self, line: &Line<'_>) -> Judged {
        let (mut properties, mut associations) = (Vec::new(), Vec::new());
        for row in &line.planned.rows {
            properties.extend(
                row.properties.iter().map(|(name, value)| self.property(line, row, name, value)),
            );
            properties.extend(self.left_out(row));
            associations
                .extend(row.slots.iter().map(|(slot, to)| self.slot(line, row, slot, to.as_ref())));
        }
        for (row, reason) in &line.planned.refused {
            properties.push(Verdict {
                name: reason.property.clone().unwrap_or_else(|| "(the event)".into()),
                value: None,
                line: self.lines.get(row).copied().unwrap_or(0),
                verdict: Word::Refused,
                reason: Some(format!("{}: {}", reason.code, reason.message)),
            });
        }
        Judged {
            sync_type: line.object.sync_type.clone(),
            external_id: line.planned.record.external_id.clone(),
            note: self.note(line),
            properties,
            associations,
        }
    }

    fn note(&self, line: &Line<'_>) -> Option<String> {
        let deletes = line.planned.rows.iter().any(|row| row.operation == Operation::Archive);
        match &line.planned.need {
            _ if line.erases => {
                Some("is searched for by its key, and erased for good if it exists".into())
            }
            Need::Missing(lacking) => Some(format!(
                "waits if HubSpot does not have it: HubSpot cannot create it without {}",
                lacking.join(" and ")
            )),
            Need::Nothing if deletes => Some(
                "nothing to delete: HubSpot does not have it; one that it has is archived".into(),
            ),
            Need::Write(_) if deletes => {
                Some("is archived if HubSpot has it, then created again from what is newer".into())
            }
            _ => None,
        }
    }

    /// Why a row as a whole counts for nothing.
    fn void(&self, line: &Line<'_>, row: &MappedRow) -> Option<(Word, String)> {
        if line.erases {
            return Some((Word::Void, "the subject is erased".into()));
        }
        let dead = line.planned.folded.tombstone.filter(|dead| row.stamp <= *dead)?;
        Some((Word::Void, format!("before the delete of line {}", self.line(dead))))
    }

    fn property(&self, line: &Line<'_>, row: &MappedRow, name: &str, value: &str) -> Verdict {
        let newest = line.planned.folded.properties.get(name).map(|r| r.stamp);
        let warning = line.planned.warnings.get(&row.stamp.row).and_then(|warnings| {
            warnings.iter().find(|w| w.property.as_deref() == Some(name)).map(|w| w.message.clone())
        });
        let sent = line.written().and_then(|mut sent| sent.remove(name));
        let (verdict, reason) = match (self.void(line, row), newest) {
            (Some(void), _) => (void.0, Some(void.1)),
            (None, Some(newest)) if newest != row.stamp => {
                (Word::Older, Some(format!("older than line {}", self.line(newest))))
            }
            _ if matches!(line.planned.need, Need::Missing(_)) => (Word::Waits, None),
            _ => match sent {
                None => (Word::Dropped, warning),
                Some(sent) if sent != value => (
                    Word::Altered,
                    Some(warning.unwrap_or_else(|| format!("HubSpot's value is {sent}"))),
                ),
                Some(sent) if sent.is_empty() => (Word::Clear, None),
                Some(_) => (Word::Send, None),
            },
        };
        let (name, value) = (name.to_owned(), Some(value.to_owned()));
        Verdict { name, value, line: self.line(row.stamp), verdict, reason }
    }

    /// What the mapping itself left out. What it altered is among the properties.
    fn left_out<'a>(&'a self, row: &'a MappedRow) -> impl Iterator<Item = Verdict> + 'a {
        row.warnings.iter().filter_map(move |warning| {
            let name = warning.property.clone()?;
            let there = row.properties.contains_key(&name) || row.slots.contains_key(&name);
            (!there).then(|| Verdict {
                name,
                value: None,
                line: self.line(row.stamp),
                verdict: Word::Dropped,
                reason: Some(format!("{}: {}", warning.code, warning.message)),
            })
        })
    }

    fn slot(
        &self,
        line: &Line<'_>,
        row: &MappedRow,
        name: &str,
        target: Option<&String>,
    ) -> Verdict {
        let newest = line.planned.folded.slots.get(name).map(|(_, stamp)| *stamp);
        let kind = line.object.slot(name).map_or(name, |slot| slot.target.as_str());
        let (verdict, reason) = match (self.void(line, row), newest, target) {
            (Some(void), ..) => (void.0, Some(void.1)),
            (None, Some(newest), _) if newest != row.stamp => {
                (Word::Older, Some(format!("older than line {}", self.line(newest))))
            }
            (.., None) => (Word::Clear, Some("nothing to drop yet".into())),
            _ if line.written().is_none() => (Word::Waits, Some("for the record itself".into())),
            (.., Some(target)) if self.awaited.contains(&(kind.to_owned(), target.clone())) => {
                let reason = format!("for {kind} {target}, which these events do not create");
                (Word::Waits, Some(reason))
            }
            _ => (Word::Send, None),
        };
        let value = target.map(|target| format!("{kind} {target}"));
        Verdict { name: name.to_owned(), value, line: self.line(row.stamp), verdict, reason }
    }
}
