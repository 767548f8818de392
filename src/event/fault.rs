//! A fault is one reason why an event is refused, in the form the sender sees.

use serde::Serialize;

/// One fault of one event. Neither `pointer` nor `detail` repeats a value that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The position of the event in the request, from zero.
    pub index: usize,
    /// The JSON pointer (RFC 6901) within the event; empty for the event as a whole.
    pub pointer: String,
    /// A stable snake_case code for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl Fault {
    /// Makes a fault at `pointer` of the event at `index`.
    pub fn new(
        index: usize,
        pointer: impl Into<String>,
        code: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let pointer = shorter(pointer.into());
        Self { index, pointer, code: code.into(), detail: detail.into() }
    }
}

/// The longest pointer, in bytes. A longer one is replaced by its closest ancestor that fits.
const LONGEST_POINTER: usize = 1_000;

fn shorter(mut pointer: String) -> String {
    if pointer.len() > LONGEST_POINTER {
        let end = pointer.as_bytes()[..=LONGEST_POINTER].iter().rposition(|&byte| byte == b'/');
        pointer.truncate(end.unwrap_or(0));
        // Without this, a thousand faults would keep the memory of the parts that were cut off.
        pointer.shrink_to_fit();
    }
    pointer
}

/// The faults of a request, up to as many as an answer lists.
#[derive(Debug, Default)]
pub struct Faults {
    listed: Vec<Fault>,
    bytes: usize,
    more: usize,
}

impl Faults {
    /// The most faults listed, and the most bytes of text they may have.
    const MOST: (usize, usize) = (1_000, 256 * 1024);

    /// Adds a fault. Once the list is full, it is only counted.
    pub fn push(&mut self, fault: Fault) {
        let bytes = fault.pointer.len() + fault.code.len() + fault.detail.len();
        if self.listed.len() < Self::MOST.0 && self.bytes + bytes <= Self::MOST.1 {
            self.bytes += bytes;
            self.listed.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// Whether there are no faults.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.more == 0
    }

    /// Returns the listed faults and the number of further ones.
    pub fn into_parts(self) -> (Vec<Fault>, usize) {
        (self.listed, self.more)
    }
}

impl Extend<Fault> for Faults {
    fn extend<T: IntoIterator<Item = Fault>>(&mut self, faults: T) {
        faults.into_iter().for_each(|fault| self.push(fault));
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<T: IntoIterator<Item = Fault>>(faults: T) -> Self {
        let mut all = Self::default();
        all.extend(faults);
        all
    }
}

/// Appends one reference token to a JSON pointer, escaped as RFC 6901 requires.
pub(crate) fn child(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lists_so_many_faults_and_says_how_many_more_there_are() {
        let fault = |index| Fault::new(index, "/data", "empty", "must not be empty");
        let (listed, more) = (0..2_500).map(fault).collect::<Faults>().into_parts();
        assert_eq!((listed.len(), more), (1_000, 1_500));
        let long = |index| Fault::new(index, "", "empty", "x".repeat(100_000));
        let (listed, more) = (0..3).map(long).collect::<Faults>().into_parts();
        assert_eq!((listed.len(), more), (2, 1));
    }

    #[test]
    fn a_pointer_that_would_be_too_long_names_an_ancestor() {
        let deep = format!("/data/{}/b", "a".repeat(2_000));
        let pointer = Fault::new(0, deep, "empty", "").pointer;
        assert_eq!(pointer, "/data");
        assert!(pointer.capacity() <= LONGEST_POINTER, "{}", pointer.capacity());
        let short = format!("/data/{}", "\u{e9}".repeat(400));
        assert_eq!(Fault::new(0, short.clone(), "empty", "").pointer, short);
    }
}
