//! Printing that survives a closed pipe: `say!` for results, `note!` for everything else.
//!
//! `println!` panics when the reader is gone (`hubferry status | head -1`) or the disk is full.
//! These macros remember the first failure instead, and the command continues: its work must not
//! depend on who reads the output. [`lost`] then decides the exit code.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;

/// The first error of standard output.
static LOST: OnceLock<io::ErrorKind> = OnceLock::new();

/// Prints a line on standard output.
macro_rules! say {
    () => { say!("") };
    ($($text:tt)*) => {{
        $crate::cli::out::line(format_args!($($text)*));
    }};
}

/// Prints a line on standard error. If it cannot be written, nothing happens.
macro_rules! note {
    ($($text:tt)*) => {
        $crate::cli::out::hint_line(format_args!($($text)*))
    };
}

pub(super) use {note, say};

/// Prints `text` on standard output and answers whether it was written.
pub(super) fn print(text: fmt::Arguments<'_>) -> bool {
    if LOST.get().is_some() {
        return false;
    }
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) => {
            // Only the first one matters.
            let _ = LOST.set(error.kind());
            false
        }
    }
}

/// Prints `text` and the end of the line on standard output.
pub(super) fn line(text: fmt::Arguments<'_>) -> bool {
    print(format_args!("{text}\n"))
}

/// Prints `text` and the end of the line on standard error.
pub(super) fn hint_line(text: fmt::Arguments<'_>) {
    hint(format_args!("{text}\n"));
}

/// Prints `text` on standard error.
pub(super) fn hint(text: fmt::Arguments<'_>) {
    // An error could not be printed either.
    let _ = io::stderr().lock().write_fmt(text);
}

/// Why standard output takes no more text, if it does not.
pub(super) fn lost() -> Option<io::ErrorKind> {
    LOST.get().copied()
}
