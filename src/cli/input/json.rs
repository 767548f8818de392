//! Reads JSON: an array of events, or events one after another. It is read as a stream, so its
//! length does not matter.

use std::io::{BufReader, Read};
use std::rc::Rc;

use anyhow::{Result, anyhow};
use serde::de::{DeserializeSeed, Deserializer as _, SeqAccess, Visitor};
use serde_json::{Deserializer, Value};

use super::budget::{Budgeted, Place};
use super::{Item, LONGEST, Sink};

pub(super) fn read(source: impl Read, sink: Sink<'_>) -> Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, source);
    let array = first(&mut reader)? == Some(b'[');
    let (reader, place) = Budgeted::new(reader, LONGEST);
    let mut deserializer = Deserializer::from_reader(reader);
    let mut ended = false;
    let read = if array {
        let events = Events { sink, place: &place, ended: &mut ended };
        deserializer.deserialize_seq(events).and_then(|()| deserializer.end())
    } else {
        place.next();
        let mut values = deserializer.into_iter::<Value>();
        let mut ordinal = 0;
        loop {
            match values.next() {
                None => break Ok(()),
                Some(Err(error)) => break Err(error),
                Some(Ok(event)) => {
                    let line = place.line();
                    place.next();
                    ended = !sink(Item { ordinal, line, event: Ok(event) });
                    ordinal += 1;
                    if ended {
                        break Ok(());
                    }
                }
            }
        }
    };
    match read {
        Err(error) if !ended => {
            if error.is_io() {
                return Err(std::io::Error::from(error).into());
            }
            let (line, column) = (error.line(), error.column());
            Err(anyhow!("not JSON, see line {line}, column {column}"))
        }
        _ => Ok(()),
    }
}

/// The first character that is not blank, a byte order mark apart; blanks are kept for the count.
fn first(reader: &mut BufReader<impl Read>) -> Result<Option<u8>> {
    use std::io::BufRead as _;
    let start = reader.fill_buf()?;
    if start.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    let start = reader.fill_buf()?;
    Ok(start.iter().find(|b| !b.is_ascii_whitespace()).copied())
}

/// Hands the members of an array on, one by one.
struct Events<'a, 's> {
    sink: Sink<'s>,
    place: &'a Rc<Place>,
    ended: &'a mut bool,
}

impl<'de> Visitor<'de> for Events<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut ordinal = 0;
        loop {
            self.place.next();
            let Some(event) = members.next_element_seed(Any)? else { return Ok(()) };
            let line = self.place.line();
            if !(self.sink)(Item { ordinal, line, event: Ok(event) }) {
                *self.ended = true;
                // The rest is not read; the caller knows that this is no fault.
                return Ok(());
            }
            ordinal += 1;
        }
    }
}

struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        serde::Deserialize::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<Vec<(u64, Value)>> {
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |item| {
            found.push((item.line, item.event.unwrap()));
            true
        })?;
        Ok(found)
    }

    #[test]
    fn arrays_and_objects_are_read_one_by_one_with_the_line_they_begin_on() {
        let text = "\n[\n  {\"a\":\n 1},\n\n  {\"a\":2}, 7\n]\n";
        let found = lines(text).unwrap();
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 6, 6]);
        let found = lines("\u{feff}{\n\"a\":1}\n {\"a\":2}").unwrap();
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
        assert!(lines("").unwrap().is_empty() && lines("[]").unwrap().is_empty());
        assert_eq!(lines("[{}").unwrap_err().to_string(), "not JSON, see line 1, column 3");
        assert!(lines("[{}] {}").unwrap_err().to_string().contains("column 6"));
    }

    #[test]
    fn an_event_that_never_ends_is_given_up() {
        let text = format!("[{{}},\n{{\"a\":\"{}\"}}]", "x".repeat(2 * LONGEST));
        assert!(lines(&text).unwrap_err().to_string().contains("line 2: longer than"));
        let many = format!("[{}]", vec!["{\"a\":1}"; LONGEST / 4].join(","));
        assert_eq!(lines(&many).unwrap().len(), LONGEST / 4, "only one event counts");
    }
}
