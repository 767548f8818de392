//! Reads events from a file or standard input, one after another: JSON, NDJSON or CSV.
//!
//! Only one event at a time is in memory, never the whole file. No event may be longer than
//! [`LONGEST`].

mod budget;
mod columns;
mod csv;
mod json;
mod lines;
mod survey;

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::exit;
pub(super) use columns::Columns;
pub(super) use survey::{Survey, survey};

/// The longest event that is read, in bytes. The server accepts less. A longer one means that the file
/// does not contain events, such as a CSV file with a missing quote.
pub(super) const LONGEST: usize = 1024 * 1024;

/// Which events.
#[derive(Debug, Clone, Args)]
pub(super) struct InputArgs {
    /// The file, or - for standard input
    pub(super) file: PathBuf,
    /// The format of the file (default: by its name, else by its first character)
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) format: Option<Format>,
    /// CSV: the event type of the rows, if there is no column `type`
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// CSV: the column with the subject, if none is called `subject`
    #[arg(long, value_name = "COLUMN")]
    pub(super) subject: Option<String>,
    /// CSV: map a column to a dotted path in `data` or to an attribute; an empty path leaves it out; may be
    /// repeated
    #[arg(long = "map", value_name = "COLUMN=PATH", value_parser = columns::rename)]
    pub(super) map: Vec<(String, String)>,
    /// CSV: empty cells are null, which clears the value, instead of absent
    #[arg(long)]
    pub(super) empty_is_null: bool,
    /// CSV: the separator (default: the most frequent of , ; and tab in the header)
    #[arg(long, value_name = "CHARACTER")]
    pub(super) delimiter: Option<char>,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One object, or an array of them
    Json,
    /// One object on each line
    Ndjson,
    /// A header, and one event in each row
    Csv,
}

/// One event of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Its position among the events, from zero.
    pub(super) ordinal: u64,
    /// The line on which it begins, from one.
    pub(super) line: u64,
    /// The event, or why it cannot be read.
    pub(super) event: Result<Value, Unreadable>,
}

/// A line that is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Why.
    pub(super) reason: String,
    /// The line, truncated.
    pub(super) text: String,
}

/// Receives the events; `false` ends the reading.
pub(super) type Sink<'a> = &'a mut dyn FnMut(Item) -> bool;

type Source = Box<dyn Read + Send>;

/// A file that has been opened, and its layout.
pub(super) struct Input {
    reader: Reader,
    name: String,
}

enum Reader {
    Json(Source),
    Ndjson(Source),
    Csv(csv::Rows),
}

impl Input {
    /// Opens the file of `args`. Of a CSV file the header is read.
    pub(super) fn open(args: &InputArgs) -> Result<Self> {
        Self::open_with(args, |source| source)
    }

    fn open_with(args: &InputArgs, wrap: impl FnOnce(Source) -> Source) -> Result<Self> {
        let name = args.name();
        let mut source: Source = if args.is_stdin() {
            Box::new(std::io::stdin())
        } else {
            let file = File::open(&args.file)
                .and_then(|file| match file.metadata()?.is_dir() {
                    true => Err(std::io::Error::other("is a folder")),
                    false => Ok(file),
                })
                .map_err(|e| exit::wrong(format!("{name}: {e}")))?;
            Box::new(file)
        };
        source = wrap(source);
        let start = start_of(&mut source).with_context(|| name.clone())?;
        let format = args.format_of(&start)?;
        if format != Format::Csv {
            args.refuse_csv_options()?;
        }
        let source: Source = Box::new(Cursor::new(start.clone()).chain(source));
        let reader = match format {
            Format::Json => Reader::Json(source),
            Format::Ndjson => Reader::Ndjson(source),
            Format::Csv => Reader::Csv(csv::Rows::open(source, &start, args, &name)?),
        };
        Ok(Self { reader, name })
    }

    /// The mapping of the columns of a CSV file.
    pub(super) fn columns(&self) -> Option<&Columns> {
        match &self.reader {
            Reader::Csv(rows) => Some(rows.columns()),
            Reader::Json(_) | Reader::Ndjson(_) => None,
        }
    }

    /// Hands all events to `sink`. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read any further. A line that is not an event is an item like any other,
    /// as long as the next one can be found.
    pub(super) fn read(self, sink: Sink<'_>) -> Result<()> {
        let name = self.name;
        match self.reader {
            Reader::Json(source) => json::read(source, sink),
            Reader::Ndjson(source) => lines::read(source, sink),
            Reader::Csv(rows) => rows.read(sink),
        }
        .with_context(|| name)
    }
}

/// The first line and perhaps more, up to 64 KiB.
fn start_of(source: &mut Source) -> std::io::Result<Vec<u8>> {
    let (mut start, mut filled) = (vec![0; 64 * 1024], 0);
    while filled < start.len() && !start[..filled].contains(&b'\n') {
        match source.read(&mut start[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    start.truncate(filled);
    Ok(start)
}

impl InputArgs {
    /// Whether events come from standard input.
    pub(super) fn is_stdin(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        if self.is_stdin() { "standard input".into() } else { self.file.display().to_string() }
    }

    fn format_of(&self, start: &[u8]) -> Result<Format> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let extension = self.file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "json" => return Ok(Format::Json),
            "ndjson" | "jsonl" => return Ok(Format::Ndjson),
            "csv" | "tsv" => return Ok(Format::Csv),
            _ => {}
        }
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        match start.first() {
            None | Some(b'[') => Ok(Format::Json),
            Some(b'{') => {
                // An object that ends on its first line is one of many lines.
                let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
                let whole = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
                Ok(if whole { Format::Ndjson } else { Format::Json })
            }
            Some(_) => Err(exit::wrong(format!(
                "{}: the format is unknown: add --format csv, json or ndjson",
                self.name()
            ))),
        }
    }

    /// Options that would be ignored are a mistake.
    fn refuse_csv_options(&self) -> Result<()> {
        let given = [
            ("--type", self.event_type.is_some()),
            ("--subject", self.subject.is_some()),
            ("--map", !self.map.is_empty()),
            ("--empty-is-null", self.empty_is_null),
            ("--delimiter", self.delimiter.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                let hint = "is for CSV only; JSON events contain it";
                Err(exit::wrong(format!("{option} {hint} (or add --format csv)")))
            }
            None => Ok(()),
        }
    }
}
