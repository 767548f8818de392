//! A reader that counts lines and gives up on an event that is too long.

use std::cell::Cell;
use std::io::{Error, Read};
use std::rc::Rc;

/// Where a reader is.
#[derive(Debug, Default)]
pub(super) struct Place {
    line: Cell<u64>,
    /// Bytes read of the event at hand.
    used: Cell<usize>,
    /// The line of the event at hand, once its first character was read.
    begun: Cell<Option<u64>>,
}

impl Place {
    /// A new event begins with the next character that is neither blank nor a comma.
    pub(super) fn next(&self) {
        self.used.set(0);
        self.begun.set(None);
    }

    /// The line on which the event at hand begins, from one.
    pub(super) fn line(&self) -> u64 {
        self.begun.get().unwrap_or(self.line.get() + 1)
    }

    fn pass(&self, bytes: &[u8]) {
        for &byte in bytes {
            let between = byte.is_ascii_whitespace() || byte == b',';
            if !between && self.begun.get().is_none() {
                self.begun.set(Some(self.line.get() + 1));
            }
            self.line.set(self.line.get() + u64::from(byte == b'\n'));
        }
        self.used.set(self.used.get() + bytes.len());
    }
}

/// A reader that knows where it is, and reads at most so many bytes an event.
pub(super) struct Budgeted<R> {
    inner: R,
    place: Rc<Place>,
    most: usize,
}

impl<R> Budgeted<R> {
    pub(super) fn new(inner: R, most: usize) -> (Self, Rc<Place>) {
        let place = Rc::<Place>::default();
        (Self { inner, place: Rc::clone(&place), most }, place)
    }
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.place.used.get() > self.most {
            let line = self.place.line();
            return Err(Error::other(format!("line {line}: longer than {} bytes", self.most)));
        }
        let read = self.inner.read(buffer)?;
        self.place.pass(&buffer[..read]);
        Ok(read)
    }
}
