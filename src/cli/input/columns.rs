//! Reads the columns of a CSV file.
//!
//! Cells are always text. Mapping files read numbers, truth values and times from text, and text
//! keeps what a number would lose, such as the leading zeros of a postal code.

use std::collections::BTreeSet;

use anyhow::Result;
use csv::ByteRecord;
use serde_json::{Map, Value};

use super::InputArgs;
use crate::cli::{exit, text};
use crate::event::EventType;

/// Columns of these names are attributes of the event.
const ATTRIBUTES: [&str; 6] = ["type", "subject", "id", "source", "time", "priority"];

/// The target of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Attribute(&'static str),
    /// A path in `data`.
    Data(Vec<String>),
    Nothing,
}

/// The columns of a file, each with its target.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Columns {
    names: Vec<String>,
    targets: Vec<Target>,
    event_type: Option<String>,
    empty_is_null: bool,
}

/// Reads `COLUMN=PATH`.
pub(super) fn rename(text: &str) -> Result<(String, String), String> {
    let (column, path) = text.rsplit_once('=').ok_or("use COLUMN=PATH, such as 'E-mail=email'")?;
    Ok((column.trim().to_owned(), path.trim().to_owned()))
}

impl Columns {
    pub(super) fn new(names: Vec<String>, args: &InputArgs) -> Result<Self> {
        let named = args.map.iter().map(|(column, _)| ("--map", column));
        for (option, column) in named.chain(args.subject.iter().map(|c| ("--subject", c))) {
            if !names.contains(column) {
                let has = names.join(", ");
                return Err(exit::wrong(format!(
                    "{option}: no column `{column}`; there are {has}"
                )));
            }
        }
        if let Some(event_type) = &args.event_type {
            let parsed = event_type.parse::<EventType>();
            parsed.map_err(|e| exit::wrong(format!("--type {event_type}: {e}")))?;
        }
        let targets: Vec<Target> = names.iter().map(|name| target(name, args)).collect();
        check(&names, &targets)?;
        let has = |wanted| targets.contains(&Target::Attribute(wanted));
        if !has("subject") {
            let columns = names.join(", ");
            return Err(exit::wrong(format!(
                "no column is called `subject`: name the one with the application's id with --subject COLUMN; there are {columns}"
            )));
        }
        if !has("type") && args.event_type.is_none() {
            return Err(exit::wrong(
                "no column is called `type`: name the event type, such as --type user.updated",
            ));
        }
        let (event_type, empty_is_null) = (args.event_type.clone(), args.empty_is_null);
        Ok(Self { names, targets, event_type, empty_is_null })
    }

    /// The event of a row, or why there is none.
    pub(super) fn event(&self, row: &ByteRecord) -> Result<Value, String> {
        if row.len() != self.names.len() {
            let (has, wants) = (row.len(), self.names.len());
            return Err(format!("has {has} cells, the header has {wants}"));
        }
        let (mut event, mut data) = (Map::new(), Map::new());
        for ((name, target), cell) in self.names.iter().zip(&self.targets).zip(row) {
            let cell = std::str::from_utf8(cell)
                .map_err(|_| format!("column `{name}` is not UTF-8: save the file as UTF-8"))?;
            let empty = cell.trim().is_empty();
            match target {
                Target::Attribute(attribute) if !empty => {
                    event.insert((*attribute).to_owned(), cell.trim().into());
                }
                Target::Data(path) if !empty => put(&mut data, path, cell.into()),
                Target::Data(path) if self.empty_is_null => put(&mut data, path, Value::Null),
                Target::Attribute(_) | Target::Data(_) | Target::Nothing => {}
            }
        }
        if let Some(event_type) = &self.event_type {
            event.entry("type").or_insert_with(|| event_type.clone().into());
        }
        event.insert("data".into(), data.into());
        Ok(event.into())
    }

    /// The mapping as a table for people.
    pub(in crate::cli) fn table(&self) -> String {
        let mut rows = vec![vec!["column".to_owned(), "goes to".to_owned()]];
        for (name, target) in self.names.iter().zip(&self.targets) {
            let target = match target {
                Target::Attribute(attribute) => format!("{attribute} (attribute of the event)"),
                Target::Data(path) => format!("data.{}", path.join(".")),
                Target::Nothing => "nothing: left out".into(),
            };
            rows.push(vec![text::plain(name, 60), text::plain(&target, 120)]);
        }
        if let Some(event_type) = &self.event_type {
            rows.push(vec!["(--type)".into(), format!("type = {event_type}")]);
        }
        let empty = if self.empty_is_null { "null, which clears" } else { "left out" };
        rows.push(vec!["(empty cells)".into(), empty.into()]);
        text::table(&rows)
    }
}

fn target(name: &str, args: &InputArgs) -> Target {
    if args.subject.as_deref() == Some(name) {
        return Target::Attribute("subject");
    }
    let path = match args.map.iter().rev().find(|(column, _)| column == name) {
        Some((_, path)) => path.as_str(),
        None => name,
    };
    if let Some(attribute) = ATTRIBUTES.iter().find(|attribute| **attribute == path) {
        return Target::Attribute(attribute);
    }
    let path = path.strip_prefix("data.").unwrap_or(path);
    if path.is_empty() {
        return Target::Nothing;
    }
    Target::Data(path.split('.').map(|part| part.trim().to_owned()).collect())
}

/// No two columns may have the same target, and no target may contain another.
fn check(names: &[String], targets: &[Target]) -> Result<()> {
    let mut attributes = BTreeSet::new();
    for (place, (name, target)) in names.iter().zip(targets).enumerate() {
        let clash = match target {
            Target::Attribute(attribute) => !attributes.insert(*attribute),
            Target::Data(path) if path.iter().any(String::is_empty) => {
                let problem = format!("column `{name}` goes to `{}`", path.join("."));
                return Err(exit::wrong(format!(
                    "{problem}, a path with an empty part: use --map"
                )));
            }
            Target::Data(path) => targets[..place].iter().any(|other| match other {
                Target::Data(other) => other.starts_with(path) || path.starts_with(other),
                Target::Attribute(_) | Target::Nothing => false,
            }),
            Target::Nothing => false,
        };
        if clash {
            return Err(exit::wrong(format!(
                "column `{name}` has the same target as another one: change it with --map '{name}=path', or leave it out with --map '{name}='"
            )));
        }
    }
    Ok(())
}

fn put(data: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((last, way)) = path.split_last() else { return };
    let mut at = data;
    for part in way {
        let next = at.entry(part.clone()).or_insert_with(|| Map::new().into());
        let Value::Object(members) = next else { return };
        at = members;
    }
    at.insert(last.clone(), value);
}
