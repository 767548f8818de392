//! Writes log lines to standard error from a separate thread.
//!
//! Logging never waits and never fails. If nobody reads standard error, if it is closed, or if the
//! disk is full, lines are dropped and counted, and the service continues.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait to be written. Further ones are dropped.
const WAITING: usize = 1_024;
/// How long the process waits at its end for the log to be written.
const LAST: Duration = Duration::from_secs(1);

enum Job {
    Write(Vec<u8>),
    /// Signals when everything before it has been written.
    Tell(SyncSender<()>),
}

/// The number of lines dropped since the last one that was written.
static LOST: AtomicU64 = AtomicU64::new(0);

fn jobs() -> &'static SyncSender<Job> {
    static JOBS: OnceLock<SyncSender<Job>> = OnceLock::new();
    JOBS.get_or_init(|| {
        let (sender, receiver) = sync_channel(WAITING);
        // Without the thread, every line is dropped and counted.
        let thread = std::thread::Builder::new().name("log".into());
        thread.spawn(move || write_all(&receiver, io::stderr)).ok();
        sender
    })
}

/// Writes received lines to what `out` opens, until there are no more senders.
fn write_all<W: Write>(jobs: &Receiver<Job>, out: impl Fn() -> W) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Write(line) => {
                if out().write_all(&line).is_err() {
                    lose();
                    continue;
                }
                let lost = LOST.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(log.lost = lost, "log lines were lost");
                }
            }
            Job::Tell(written) => {
                written.try_send(()).ok();
            }
        }
    }
}

fn lose() {
    LOST.fetch_add(1, Ordering::Relaxed);
    metrics::counter!("hubferry_log_lines_lost_total").increment(1);
}

/// Waits for a short time until the logged lines are written.
pub fn flush() {
    let (written, wait) = sync_channel(1);
    if jobs().try_send(Job::Tell(written)).is_ok() {
        wait.recv_timeout(LAST).ok();
    }
}

/// Writes `line` to standard error after everything that was logged, if possible.
pub fn say(line: &str) {
    let mut sink = Sink;
    writeln!(sink, "{line}").ok();
    flush();
}

/// Receives the lines of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sink;

impl Write for Sink {
    /// Queues a line. Never waits and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if jobs().try_send(Job::Write(line.to_vec())).is_err() {
            lose();
        }
        Ok(line.len())
    }

    fn write_fmt(&mut self, line: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.write(line.to_string().as_bytes()).map(|_| ())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Sink {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that fails twice, like a full disk.
    #[derive(Clone)]
    struct Full(std::sync::Arc<std::sync::Mutex<(u32, Vec<u8>)>>);

    impl Write for Full {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            if disk.0 > 0 {
                disk.0 -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.1.extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_lost_and_later_ones_are_not() {
        let disk = Full(std::sync::Arc::new(std::sync::Mutex::new((2, Vec::new()))));
        let (sender, receiver) = sync_channel(10);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            sender.send(Job::Write(line.into())).unwrap();
        }
        let (written, wait) = sync_channel(1);
        sender.send(Job::Tell(written)).unwrap();
        drop(sender);
        write_all(&receiver, || disk.clone());
        wait.recv().unwrap();
        assert_eq!(disk.0.lock().unwrap().1, b"three\nfour\n");
    }
}
