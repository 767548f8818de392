//! Reports refused events: on standard error for people, in a file for programs.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::input::Item;
use crate::cli::text;
use crate::event::Fault;

/// The most faults that are printed. A rejects file has all of them.
const PRINTED: usize = 50;

/// An event that will not be stored, and why.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) line: u64,
    pub(super) event: Value,
    /// The line where it could not be read.
    pub(super) text: Option<String>,
    pub(super) faults: Vec<Fault>,
}

impl Refused {
    /// A line that is no event, or an event with its faults.
    pub(super) fn new(item: Item, faults: Vec<Fault>) -> Self {
        match item.event {
            Ok(event) => Self { line: item.line, event, text: None, faults },
            Err(unreadable) => {
                let fault = Fault::new(0, "", "unreadable", unreadable.reason);
                let (line, text) = (item.line, Some(unreadable.text));
                Self { line, event: Value::Null, text, faults: vec![fault] }
            }
        }
    }

    /// One line for each fault.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.faults.iter().map(|fault| {
            let detail = text::plain(&fault.detail, 300);
            let pointer = text::plain(&fault.pointer, 200);
            let place = if pointer.is_empty() { String::new() } else { format!(" {pointer}") };
            format!("line {}:{place} {} ({})", self.line, detail, text::plain(&fault.code, 60))
        })
    }

    fn json(&self) -> Value {
        let errors: Vec<Value> = self
            .faults
            .iter()
            .map(|f| json!({ "pointer": f.pointer, "code": f.code, "detail": f.detail }))
            .collect();
        let mut line = json!({ "line": self.line, "errors": errors, "event": self.event });
        if let Some(text) = &self.text {
            line["text"] = json!(text);
        }
        line
    }
}

/// The rejects file.
#[derive(Debug)]
pub(super) struct Rejects(BufWriter<File>);

impl Rejects {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self(BufWriter::new(File::create(path)?)))
    }

    pub(super) fn write(&mut self, refused: &[Refused]) -> std::io::Result<()> {
        for one in refused {
            writeln!(self.0, "{}", one.json())?;
        }
        self.0.flush()
    }
}

/// Prints refusals, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Teller {
    told: usize,
    silent: usize,
}

impl Teller {
    pub(super) fn tell(&mut self, refused: &[Refused], say: impl Fn(&str)) {
        for line in refused.iter().flat_map(Refused::lines) {
            if self.told < PRINTED {
                self.told += 1;
                say(&line);
            } else {
                self.silent += 1;
            }
        }
    }

    /// How many faults were not printed.
    pub(super) fn silent(&self) -> usize {
        self.silent
    }
}
