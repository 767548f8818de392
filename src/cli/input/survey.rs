//! Reads a file once before it is sent, to count its events and to recognise the file later.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::{Input, InputArgs};

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Survey {
    /// Its events, unreadable lines included.
    pub(in crate::cli) events: u64,
    /// Its length in bytes.
    pub(in crate::cli) bytes: u64,
    /// SHA-256 of its content.
    pub(in crate::cli) digest: [u8; 32],
}

#[derive(Default)]
struct Seen {
    hash: Sha256,
    bytes: u64,
}

/// Passes bytes on and hashes them.
struct Hashing<R> {
    inner: R,
    seen: Arc<Mutex<Seen>>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.hash.update(&buffer[..read]);
        seen.bytes += read as u64;
        Ok(read)
    }
}

/// Reads the file of `args` to its end; `None` for standard input and for whatever can be read once
/// only. What cannot be read on is told here, before anything is sent.
pub(in crate::cli) fn survey(args: &InputArgs) -> Result<Option<Survey>> {
    if args.is_stdin() || !regular(&args.file) {
        return Ok(None);
    }
    let seen = Arc::<Mutex<Seen>>::default();
    let shared = Arc::clone(&seen);
    let input = Input::open_with(args, |inner| Box::new(Hashing { inner, seen: shared }))?;
    let mut events = 0;
    input.read(&mut |_| {
        events += 1;
        true
    })?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let digest = seen.hash.clone().finalize().into();
    Ok(Some(Survey { events, bytes: seen.bytes, digest }))
}

fn regular(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}
