//! Receives unpacked data, up to a limit.

use std::io::{self, Write};

/// Receives what the decoder unpacks.
pub(super) struct Sink {
    pub(super) bytes: Vec<u8>,
    /// The most bytes that it takes.
    pub(super) most: usize,
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
