//! Parses server-sent events as the server sends them: `id` and `data`. Comments are skipped. Pure.

/// The server sends no longer message, so a longer one is dropped.
const LONGEST: usize = 1024 * 1024;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Where to continue after a lost connection.
    pub(super) id: Option<String>,
    /// `None`: the message has only an id.
    pub(super) data: Option<String>,
}

/// Parses messages from bytes as they arrive.
#[derive(Debug, Default)]
pub(super) struct Parser {
    rest: Vec<u8>,
    id: Option<String>,
    data: Option<String>,
}

impl Parser {
    /// The messages that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.rest.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(end) = self.rest.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            messages.extend(self.line(line.trim_end_matches(['\n', '\r'])));
        }
        if self.rest.len() > LONGEST {
            (self.rest, self.data) = (Vec::new(), None);
        }
        messages
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let (id, data) = (self.id.take(), self.data.take());
            return (id.is_some() || data.is_some()).then_some(Message { id, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) if data.len() <= LONGEST => {
                    data.push('\n');
                    data.push_str(value);
                }
                Some(_) => {}
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_may_come_in_any_pieces_and_comments_are_none() {
        let text = ": beat\n\nid: 9\n\nevent: call\r\nid: 12\r\ndata: {\"a\":1}\r\n\r\ndata: x\ndata: y\n\ndata: half";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let found: Vec<Message> =
                text.as_bytes().chunks(size).flat_map(|chunk| parser.push(chunk)).collect();
            let message = |id: Option<&str>, data: Option<&str>| Message {
                id: id.map(str::to_owned),
                data: data.map(str::to_owned),
            };
            let wanted = [
                message(Some("9"), None),
                message(Some("12"), Some("{\"a\":1}")),
                message(None, Some("x\ny")),
            ];
            assert_eq!(found, wanted, "{size}");
        }
    }
}
