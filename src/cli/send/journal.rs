//! Records in a small file how far an input file was sent to a server, so that an interrupted run
//! can continue. If it is lost, the events are sent again and count as duplicates.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SendArgs;
use crate::cli::input::Survey;
use crate::cli::out::note;

/// The content of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    /// The file, for people.
    file: String,
    /// The server, for people.
    url: String,
    /// So many events, from the start on, need not be sent again: they were acknowledged, or, where
    /// they are followed, are in HubSpot.
    pub(super) events: u64,
    /// So many of them failed.
    #[serde(default)]
    pub(super) failed: u64,
}

/// The journal of one file, one server and one way of making events of it.
#[derive(Debug)]
pub(super) struct Journal {
    /// Its path; `None` if it cannot be written.
    path: Option<PathBuf>,
    noted: Noted,
}

impl Journal {
    /// The journal as an earlier run left it, or an empty one.
    pub(super) fn open(
        args: &SendArgs,
        url: &str,
        survey: Option<&Survey>,
        state_dir: Option<PathBuf>,
    ) -> Self {
        let path = survey.zip(state_dir).map(|(survey, dir)| dir.join(name(args, url, survey)));
        let blank = Noted { file: args.input.name(), url: url.to_owned(), ..Noted::default() };
        let kept = path.as_ref().filter(|_| !args.from_start).and_then(|path| {
            let noted: Noted = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
            (survey.is_some_and(|s| noted.events <= s.events)).then_some(noted)
        });
        Self { path, noted: kept.unwrap_or(blank) }
    }

    /// The content of the journal.
    pub(super) fn noted(&self) -> &Noted {
        &self.noted
    }

    /// Whether an interrupted run can continue where it stopped.
    pub(super) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Notes that the first `events` need not be sent again, and that `failed` of them failed. A
    /// journal that cannot be written is done without.
    pub(super) fn note(&mut self, events: u64, failed: u64) {
        self.noted.events = events;
        self.noted.failed = failed;
        let Some(path) = &self.path else { return };
        if let Err(error) = write(path, &self.noted) {
            note!(
                "{}: {error}; an interrupted run begins at the start again, without duplicates",
                path.display()
            );
            self.path = None;
        }
    }

    /// The file was sent to its end.
    pub(super) fn remove(&self) {
        if let Some(path) = &self.path {
            // What is not there need not be removed.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whole or not at all, even if the process is killed meanwhile.
fn write(path: &PathBuf, noted: &Noted) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, serde_json::to_vec(noted)?)?;
    std::fs::rename(&temporary, path)
}

/// All that decides what is sent, and where to.
fn name(args: &SendArgs, url: &str, survey: &Survey) -> String {
    let input = &args.input;
    let how = format!(
        "{url}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{}\n{}",
        survey.bytes,
        input.format,
        input.event_type,
        input.subject,
        input.map,
        input.delimiter,
        args.run,
        input.empty_is_null,
        args.backfill,
    );
    let mut hash = Sha256::new();
    hash.update(survey.digest);
    hash.update(how.as_bytes());
    let hex: String = hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("send-{hex}.json")
}
