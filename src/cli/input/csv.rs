//! Reads CSV: a header, and one event in each row.

use std::io::Read;
use std::rc::Rc;

use anyhow::Result;
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::budget::{Budgeted, Place};
use super::columns::Columns;
use super::lines::unreadable;
use super::{InputArgs, Item, LONGEST, Sink, Source};
use crate::cli::exit;

/// A CSV file whose header has been read.
pub(super) struct Rows {
    /// The whole file again; the header is skipped when rows are read.
    source: Source,
    delimiter: u8,
    columns: Columns,
}

impl Rows {
    /// `start` is how the file begins; it must hold the header.
    pub(super) fn open(source: Source, start: &[u8], args: &InputArgs, name: &str) -> Result<Self> {
        let delimiter = match args.delimiter {
            Some(given) => u8::try_from(given)
                .map_err(|_| exit::wrong("--delimiter: must be an ASCII character"))?,
            None => delimiter(start),
        };
        let mut reader = builder(delimiter).from_reader(start);
        let mut header = ByteRecord::new();
        if !reader.read_byte_record(&mut header)? {
            return Err(exit::wrong(format!("{name}: is empty; a CSV file begins with a header")));
        }
        let names = header.iter().map(|cell| {
            std::str::from_utf8(cell).map(|name| name.trim().to_owned()).map_err(|_| {
                exit::wrong(format!("{name}: the header is not UTF-8: save it as UTF-8"))
            })
        });
        let columns = Columns::new(names.collect::<Result<_>>()?, args)?;
        Ok(Self { source, delimiter, columns })
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(super) fn read(self, sink: Sink<'_>) -> Result<()> {
        // The reader's buffer runs ahead of the row at hand.
        let (source, place) = Budgeted::new(self.source, LONGEST);
        let mut reader = builder(self.delimiter).from_reader(source);
        let mut row = ByteRecord::new();
        if !next(&mut reader, &place, &mut row)? {
            return Ok(());
        }
        let mut ordinal = 0;
        while next(&mut reader, &place, &mut row)? {
            // An empty line has one empty cell.
            if row.len() <= 1 && row.iter().all(<[u8]>::is_empty) {
                continue;
            }
            let line = row.position().map_or(0, csv::Position::line);
            let text = || row.iter().collect::<Vec<_>>().join(&self.delimiter);
            let event = self.columns.event(&row).map_err(|reason| unreadable(reason, &text()));
            if !sink(Item { ordinal, line, event }) {
                return Ok(());
            }
            ordinal += 1;
        }
        Ok(())
    }
}

fn builder(delimiter: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    builder
}

fn next(reader: &mut Reader<impl Read>, place: &Rc<Place>, row: &mut ByteRecord) -> Result<bool> {
    place.next();
    reader.read_byte_record(row).map_err(|error| match error.into_kind() {
        ErrorKind::Io(error) if error.to_string().contains("longer than") => {
            anyhow::anyhow!("near {error}; is a quote missing?")
        }
        ErrorKind::Io(error) => error.into(),
        _ => anyhow::anyhow!("not CSV"),
    })
}

/// Spreadsheets write the list separator of their locale.
fn delimiter(start: &[u8]) -> u8 {
    let header = start.split(|&b| b == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|&&b| b == delimiter).count();
    // Among equals the last one is taken: a comma, unless another separator is more frequent.
    [b'\t', b';', b','].into_iter().max_by_key(|&d| count(d)).unwrap_or(b',')
}
