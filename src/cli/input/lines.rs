//! Reads NDJSON: one event on each line. An invalid line does not affect the others.

use std::io::{BufRead, BufReader, Read};

use anyhow::Result;

use super::{Item, LONGEST, Sink, Unreadable};

pub(super) fn read(source: impl Read, sink: Sink<'_>) -> Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, source);
    let (mut line, mut ordinal) = (0, 0);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let read = reader.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        line += 1;
        let whole = buffer.ends_with(b"\n") || buffer.len() <= LONGEST;
        if !whole {
            skip_line(&mut reader)?;
        }
        let mut text = buffer.as_slice();
        if line == 1 {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let event = if whole {
            serde_json::from_slice(text).map_err(|error| {
                unreadable(format!("not JSON, see column {}", error.column()), text)
            })
        } else {
            Err(unreadable(format!("longer than {LONGEST} bytes"), text))
        };
        if !sink(Item { ordinal, line, event }) {
            return Ok(());
        }
        ordinal += 1;
    }
}

/// Reads to the end of the line without keeping it.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (read, ended) = match buffer.iter().position(|&b| b == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(read);
        if ended {
            return Ok(());
        }
    }
}

pub(super) fn unreadable(reason: String, text: &[u8]) -> Unreadable {
    let text = String::from_utf8_lossy(&text[..text.len().min(1_000)]).trim().to_owned();
    Unreadable { reason, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_event_concerns_itself_alone() {
        let long = "x".repeat(2 * LONGEST);
        let text = format!("\u{feff}{{\"a\":1}}\n\n{{\r\n{long}\n{{\"a\":2}}");
        let mut items = Vec::new();
        read(text.as_bytes(), &mut |item| {
            items.push((item.ordinal, item.line, item.event.map_err(|u| u.reason)));
            true
        })
        .unwrap();
        assert_eq!(items.len(), 4);
        assert_eq!((items[0].0, items[0].1), (0, 1));
        assert!(items[0].2.is_ok() && items[3].2.is_ok());
        assert_eq!((items[1].1, items[2].1, items[3].1), (3, 4, 5));
        assert!(items[2].2.as_ref().unwrap_err().contains("longer than"));
    }
}
