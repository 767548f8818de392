//! `hubferry send`: sends events from a file to a running server.
//!
//! Sending a file again makes no duplicates: an event without an id gets one from the file's
//! content and the event's position, so the server recognises it. A journal avoids sending
//! acknowledged events again.

mod ahead;
mod batch;
mod deliver;
mod failures;
mod flow;
mod journal;
mod rejects;
mod show;
mod watched;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::exit::{self, Exit};
use super::input::{Input, InputArgs, Survey, survey};
use super::remote::{IngestArgs, Remote};
use super::{out, text};
use crate::cli::out::note;
use crate::config::{Config, Environment};
use batch::Naming;
use journal::Journal;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct SendArgs {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    server: IngestArgs,
    /// Events in each request
    #[arg(long, default_value_t = 1_000, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Requests at the same time. Events without a time are always sent one request after the other
    #[arg(long, default_value_t = 2, value_name = "REQUESTS", value_parser = clap::value_parser!(u64).range(1..=16))]
    concurrency: u64,
    /// How long to retry a request while the server is unavailable or busy, in seconds
    #[arg(long, default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    give_up_after: u64,
    /// Leave out events that the server refuses, and send the rest
    #[arg(long)]
    skip_invalid: bool,
    /// Write refused events to this file, one JSON object per line: line, errors, event
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Begin at the start, even if an earlier run has sent a part
    #[arg(long)]
    from_start: bool,
    /// A name that becomes part of the ids of events without one: a new name sends the same file again
    /// as new events, the same name makes standard input repeatable
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Send many events without delaying live ones, see below
    #[arg(long)]
    backfill: bool,
    /// With --wait or --backfill: how many events may be waiting for HubSpot at a time
    #[arg(long, default_value_t = 20_000, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    in_flight: u64,
    /// Wait until every event is synced or failed
    #[arg(long)]
    wait: bool,
    /// Do not ask whether the columns of a CSV file are mapped correctly
    #[arg(long)]
    yes: bool,
    /// Print a summary as JSON at the end
    #[arg(long)]
    json: bool,
}

const HELP: &str = "Examples:
  hubferry send events.ndjson
  hubferry send users.csv --type user.updated --subject id --map 'E-mail=email' --map 'City=address.city'
  hubferry send export.json --skip-invalid --rejects refused.ndjson
  hubferry send history.ndjson --backfill
  my-export | hubferry send - --format ndjson --run 2026-11-21

CSV: the columns type, subject, id, source, time and priority are attributes of the event; all others
go to `data` under their name, where a dot makes an object in an object. Cells are sent as text:
mapping files read numbers, truth values and times out of text. The columns are shown first.

Again: an event without an id gets one that is made of the file's content and its place in it. The
same file sent again is all duplicates; to send the same content anew, name another --run. Standard
input cannot be read twice: there a run without a name gets a name of its own, which is said.
An interrupted run continues where it stopped. Changing --backfill or the columns changes the events, and an
id that was accepted with another body is refused.

Refused events are named by their line. Without --skip-invalid the run ends there. Of a rejects file,
`jq -c .event refused.ndjson` is what can be sent again once it is corrected.

--wait asks for every event until it is synced or has failed. Each failed event is printed with its
line and the reason, and the exit code is 1. An event that waits for another record is counted and not
waited for. No more than --in-flight events are on their way: the next request leaves when earlier
events are done.

--backfill is --wait, and gives events that name no priority the lowest one, so that live events go
first. The queue stays short whatever the size of the file.";

/// The parsed arguments.
struct Plan<'a> {
    args: &'a SendArgs,
    remote: Remote,
    survey: Option<Survey>,
    naming: Naming,
    journal: Journal,
}

pub(super) async fn run(
    args: &SendArgs,
    config: &Config,
    environment: &Environment,
) -> Result<Exit> {
    let remote = Remote::ingest(&args.server, config)?;
    let input = Input::open(&args.input)?;
    if let Some(columns) = input.columns() {
        out::hint(format_args!("{}", columns.table()));
    }
    let looking = args.input.clone();
    let survey = tokio::task::spawn_blocking(move || survey(&looking)).await??;
    if input.columns().is_some() && !agreed(args, &remote, survey.as_ref())? {
        note!("Nothing was sent.");
        return Ok(Exit::Interrupted);
    }
    let naming = Naming::new(args, survey.as_ref());
    if let (None, None) = (&survey, &args.run) {
        note!(
            "run {}: events without an id get an id made from this name; after an interruption, send the same input with --run {} and there are no duplicates",
            naming.run(),
            naming.run()
        );
    }
    let journal = Journal::open(args, remote.url(), survey.as_ref(), environment.state_dir());
    let plan = Plan { args, remote, survey, naming, journal };
    flow::run(plan, input).await
}

/// Whether a person confirms the mapping of the columns. Without a terminal nobody is asked.
fn agreed(args: &SendArgs, remote: &Remote, survey: Option<&Survey>) -> Result<bool> {
    if args.yes || args.input.is_stdin() {
        return Ok(true);
    }
    let events = survey.map_or_else(String::new, |s| format!("{} ", text::number(s.events)));
    ask(&format!("send {events}events to {}?", remote.url()))
}

/// Asks on a terminal. Without a terminal the answer is yes.
pub(super) fn ask(question: &str) -> Result<bool> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(true);
    }
    out::hint(format_args!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

impl SendArgs {
    /// Whether events are followed until they are synced or failed.
    fn follows(&self) -> bool {
        self.wait || self.backfill
    }

    /// Events in each request. If they are followed, fewer than may be waiting for HubSpot.
    fn batch_size(&self) -> usize {
        let most = if self.follows() { (self.in_flight / 2).max(1) } else { u64::MAX };
        usize::try_from(self.batch.min(most)).unwrap_or(1_000)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.give_up_after)
    }

    fn open_rejects(&self) -> Result<Option<rejects::Rejects>> {
        let Some(path) = &self.rejects else { return Ok(None) };
        let rejects = rejects::Rejects::open(path)
            .map_err(|e| exit::wrong(format!("--rejects {}: {e}", path.display())))?;
        Ok(Some(rejects))
    }
}
