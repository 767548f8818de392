//! Runs a send: batches are read ahead, a few are sent at a time, and they are acknowledged in the
//! order of the file.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::ahead::{Ahead, Answer, ask};
use super::batch::{Batch, cut};
use super::deliver::{Courier, Delivered};
use super::failures::Failures;
use super::rejects::{Rejects, Teller};
use super::show::{Counts, Followed, Show, summary};
use super::watched::Watched;
use super::{Journal, Plan, SendArgs};
use crate::cli::exit::Exit;
use crate::cli::input::Input;
use crate::cli::out::note;
use crate::cli::stop_signal;
use crate::cli::text::{count, number};

/// Why the run ends before the end of the file.
enum End {
    Stopped,
    Refused,
    Failed(anyhow::Error),
}

pub(super) async fn run(plan: Plan<'_>, input: Input) -> Result<Exit> {
    let Plan { args, remote, survey, naming, journal } = plan;
    let from = journal.noted().events;
    let total = survey.as_ref().map(|survey| survey.events);
    if from > 0 {
        let of = total.map(number).unwrap_or_default();
        note!("resuming after {} of {of} events; --from-start begins anew", number(from));
        let failed = journal.noted().failed;
        if failed > 0 {
            note!("{} of them failed, as the interrupted run said", number(failed));
        }
    }
    let stop = CancellationToken::new();
    let courier = Courier::new(remote.clone(), args.skip_invalid, args.patience(), stop.clone());
    let mut state = State {
        args,
        rejects: args.open_rejects()?,
        counts: Counts::default(),
        teller: Teller::default(),
        show: Show::new(from, total),
        ahead: Ahead::new(from, args.in_flight),
        failed_before: journal.noted().failed,
        failures: Failures::default(),
        journal,
        acknowledged: from,
        out_of_order: BTreeMap::new(),
        end: None,
    };
    // The reader waits where the sender is slower, so at most this many batches are held.
    let (give, mut batches) = mpsc::channel::<Batch>(2);
    let size = args.batch_size();
    let mut reading = tokio::task::spawn_blocking(move || {
        cut(input, &naming, from, size, |batch| give.blocking_send(batch).is_ok())
    });
    let mut stopped = pin!(stop_signal());
    send(&mut state, &courier, &mut batches, &mut stopped).await;
    // A reader that still waits for standard input is left to it.
    batches.close();
    if state.end.is_none() {
        let read = (&mut reading).await?;
        state.end = read.err().map(End::Failed);
    }
    if state.end.is_none() && args.follows() {
        follow(&mut state, &courier, &mut stopped).await;
    }
    state.finish(from)
}

/// Sends until there is nothing more, or something ends the run; what is in flight is waited for.
async fn send(
    state: &mut State<'_>,
    courier: &Courier,
    batches: &mut mpsc::Receiver<Batch>,
    stopped: &mut (impl Future<Output = ()> + Unpin),
) {
    let most = usize::try_from(state.args.concurrency).unwrap_or(1);
    // At most one question: it is kept over ticks, since a slow answer would never come otherwise.
    let (mut in_flight, mut looking) = (FuturesUnordered::new(), FuturesUnordered::new());
    let (mut ready, mut read_all, mut timeless) = (None::<Batch>, false, false);
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    loop {
        if let Some(batch) = ready.take() {
            // Events that get the time of their arrival must arrive in their order.
            let alone = batch.timeless || timeless;
            let place = in_flight.len() < if alone { 1 } else { most };
            if state.end.is_none() && place && state.room(&batch) {
                timeless = batch.timeless;
                in_flight.push(courier.deliver(batch));
            } else {
                ready = Some(batch);
            }
        }
        let over = state.end.is_some() || (read_all && ready.is_none());
        if over && in_flight.is_empty() {
            return;
        }
        let watching = state.end.is_none() && state.args.follows();
        if watching && looking.is_empty() {
            looking.extend(state.ahead.question().map(|q| ask(q, &courier.remote)));
        }
        tokio::select! {
            () = &mut *stopped, if state.end.is_none() => {
                state.end = Some(End::Stopped);
                courier.stop.cancel();
            }
            Some(delivered) = in_flight.next(), if !in_flight.is_empty() => {
                match delivered {
                    Ok(delivered) => state.take(delivered),
                    Err(error) => {
                        courier.stop.cancel();
                        state.end.get_or_insert(End::Failed(error));
                    }
                }
            }
            batch = batches.recv(), if ready.is_none() && !read_all && state.end.is_none() => {
                read_all = batch.is_none();
                ready = batch;
            }
            Some(answer) = looking.next(), if !looking.is_empty() => state.hear(answer, courier),
            _ = ticks.tick() => state.tick(courier.trouble().as_deref()),
        }
    }
}

/// Asks until all that was sent is in HubSpot, or a person ends it.
async fn follow(
    state: &mut State<'_>,
    courier: &Courier,
    stopped: &mut (impl Future<Output = ()> + Unpin),
) {
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    let mut looking = FuturesUnordered::new();
    while state.end.is_none() {
        if looking.is_empty() {
            let Some(question) = state.ahead.question() else { return };
            looking.push(ask(question, &courier.remote));
        }
        tokio::select! {
            () = &mut *stopped => state.end = Some(End::Stopped),
            Some(answer) = looking.next() => state.hear(answer, courier),
            _ = ticks.tick() => {
                let arrived = state.ahead.arrived();
                state.show.tick(arrived, "in HubSpot", None);
            }
        }
    }
}

struct State<'a> {
    args: &'a SendArgs,
    rejects: Option<Rejects>,
    journal: Journal,
    counts: Counts,
    teller: Teller,
    show: Show,
    ahead: Ahead,
    failures: Failures,
    /// How many events an interrupted run saw fail.
    failed_before: u64,
    /// All events before this one are done.
    acknowledged: u64,
    /// Batches that are done before earlier ones, by their first event.
    out_of_order: BTreeMap<u64, (u64, Vec<Watched>)>,
    end: Option<End>,
}

impl State<'_> {
    fn take(&mut self, delivered: Delivered) {
        let Delivered { start, end, accepted, duplicates, refused, stored, watched } = delivered;
        self.counts.accepted += accepted;
        self.counts.duplicates += duplicates;
        self.counts.refused += refused.len() as u64;
        let show = &self.show;
        self.teller.tell(&refused, |line| show.say(line));
        let kept = self.rejects.as_mut().map(|rejects| rejects.write(&refused));
        if let Some(Err(error)) = kept {
            self.end.get_or_insert(End::Failed(anyhow::anyhow!("--rejects: {error}")));
        }
        if !stored {
            self.end.get_or_insert(End::Refused);
            return;
        }
        self.out_of_order.insert(start, (end, watched));
        while let Some((end, watched)) = self.out_of_order.remove(&self.acknowledged) {
            self.acknowledged = end;
            if self.args.follows() {
                self.ahead.sent(end, watched);
            } else {
                self.journal.note(end, 0);
            }
        }
    }

    /// Whether `batch` may be sent now.
    fn room(&self, batch: &Batch) -> bool {
        !self.args.follows() || self.ahead.room(batch.end)
    }

    fn hear(&mut self, answer: Result<Option<Answer>>, courier: &Courier) {
        let heard =
            answer.and_then(|answer| self.ahead.hear(answer, &courier.remote, courier.patience));
        match heard {
            Ok(failed) => {
                for (event, failures) in failed {
                    for line in self.failures.add(&event, &failures) {
                        self.show.say(&line);
                    }
                }
                // Events that are retried are not done: a resumed run asks for them again.
                let (arrived, failed) = (self.ahead.done(), self.failed());
                if arrived > self.journal.noted().events {
                    self.journal.note(arrived, failed);
                }
            }
            Err(error) => {
                self.end.get_or_insert(End::Failed(error));
            }
        }
    }

    /// How many events failed, those of an interrupted run among them.
    fn failed(&self) -> u64 {
        self.failed_before + self.failures.events()
    }

    fn tick(&mut self, trouble: Option<&str>) {
        let what = if self.args.follows() {
            format!("sent, {} in HubSpot", number(self.ahead.arrived()))
        } else {
            "sent".to_owned()
        };
        self.show.tick(self.acknowledged, &what, trouble);
    }

    fn finish(self, from: u64) -> Result<Exit> {
        let elapsed = self.show.end();
        if self.teller.silent() > 0 {
            let faults = count(self.teller.silent() as u64, "more fault");
            note!("{faults}; --rejects FILE writes all of them");
        }
        if self.failures.silent() > 0 {
            let events = count(self.failures.silent(), "more event");
            note!("{events} failed; the dashboard lists all of them");
        }
        let followed = self.args.follows().then(|| Followed {
            failed: self.failed(),
            waiting: self.ahead.waiting(),
            failures: self.failures.kept().to_vec(),
        });
        let resume = || {
            let done = self.journal.noted().events;
            if self.journal.is_kept() && done > 0 {
                let events = count(done, "event");
                note!("{events} of the file are done: the same command continues after them");
            } else {
                note!("the same command begins at the start again, without duplicates");
            }
        };
        let exit = match self.end {
            None => {
                self.journal.remove();
                Exit::of(self.counts.refused == 0 && self.failed() == 0)
            }
            Some(End::Stopped) => {
                resume();
                Exit::Interrupted
            }
            Some(End::Refused) => {
                note!(
                    "the request with these events was not stored: correct them, or leave them out with --skip-invalid"
                );
                Exit::Failed
            }
            Some(End::Failed(error)) => {
                resume();
                summary(self.counts, from, elapsed, followed, self.args.json);
                return Err(error);
            }
        };
        summary(self.counts, from, elapsed, followed, self.args.json);
        Ok(exit)
    }
}
