//! What goes wrong in a round, drawn whole from the dice before the round begins, so that the draws
//! never depend on how a race came out.

use chrono::TimeDelta;
use hubspot_sandbox::{
    ApplyThenFail, DropInputs, FailHow, Faults, Locked, Migrating, Outage, Poison,
};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::script::Entity;

/// One round.
#[derive(Debug)]
pub struct Round {
    pub faults: Faults,
    /// How often all workers step before the clock moves, and after.
    pub steps: (usize, usize),
    pub advance: TimeDelta,
    /// Entities whose records people put into the recycle bin.
    pub archived: Vec<usize>,
    /// Entities whose records people merge with a stranger, and whether the stranger's values win.
    pub merged: Vec<(usize, bool)>,
    /// Pairs of users whose contacts people merge.
    pub joined: Vec<(usize, usize)>,
    /// Users whose address people enter as a contact of their own.
    pub entered: Vec<usize>,
    /// A process dies with a batch in its hands.
    pub crash: bool,
    /// The dead come back and settle.
    pub late: bool,
    pub paused: bool,
    /// A person retries what has failed.
    pub retry: bool,
    /// How many events of earlier rounds arrive once more.
    pub again: usize,
}

impl Round {
    pub fn draw(dice: &mut StdRng, entities: &[Entity]) -> Self {
        let faults = faults(dice, entities);
        let seconds = [0, 1, 3, 15, 61, 61, 121, 250, 600];
        let several = |dice: &mut StdRng, most: usize, fits: &dyn Fn(&Entity) -> bool| {
            let count = dice.random_range(0..=most);
            let drawn: Vec<usize> =
                (0..count).map(|_| dice.random_range(0..entities.len())).collect();
            drawn.into_iter().filter(|&n| fits(&entities[n])).collect::<Vec<_>>()
        };
        let mergeable = |e: &Entity| ["user", "business"].contains(&e.kind) && e.shares.is_none();
        let merged = several(dice, 4, &mergeable);
        let joinable = |e: &Entity| e.kind == "user" && e.shares.is_none();
        let pairs = several(dice, 16, &joinable);
        Self {
            faults,
            steps: (dice.random_range(0..8), dice.random_range(1..10)),
            advance: TimeDelta::seconds(*seconds.choose(dice).expect("a wait")),
            archived: several(dice, 6, &|e| e.shares.is_none()),
            merged: merged.into_iter().map(|n| (n, dice.random_bool(0.5))).collect(),
            joined: pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
            entered: several(dice, 60, &|e| e.known),
            crash: dice.random_bool(0.3),
            late: dice.random_bool(0.3),
            paused: dice.random_bool(0.1),
            retry: dice.random_bool(0.2),
            again: dice.random_range(0..20),
        }
    }
}

/// Each fault now and then, some of them together.
fn faults(dice: &mut StdRng, entities: &[Entity]) -> Faults {
    let mut faults = Faults {
        no_multi_status: dice.random_bool(0.25),
        no_trace_echo: dice.random_bool(0.15),
        num_errors_lies: dice.random_bool(0.2),
        error_items_without_context: dice.random_bool(0.2),
        missing_rate_headers: dice.random_bool(0.2),
        missing_category: dice.random_bool(0.2),
        conflict_without_id: dice.random_bool(0.3),
        merge_keeps_primary_id: dice.random_bool(0.2),
        latency_ms: dice.random_bool(0.2).then_some(0),
        ..Faults::default()
    };
    if dice.random_bool(0.2) {
        let status = *[500, 502, 503, 504].choose(dice).expect("a status");
        let remaining = Some(dice.random_range(1..8));
        faults.outage = Some(Outage { status, remaining, html: dice.random_bool(0.5) });
    }
    if dice.random_bool(0.3) {
        let hangs = dice.random_bool(0.1);
        let how = if hangs {
            FailHow::Hang
        } else {
            *[FailHow::Status, FailHow::Cut].choose(dice).expect("a way")
        };
        let remaining = Some(if hangs { 1 } else { dice.random_range(1..4) });
        let status = *[500, 502, 503, 504, 524].choose(dice).expect("a status");
        faults.apply_then_fail = Some(ApplyThenFail { how, status, remaining });
    }
    if dice.random_bool(0.2) {
        faults.drop_inputs = Some(DropInputs {
            every: Some(dice.random_range(3..30)),
            keys: Vec::new(),
            remaining: Some(dice.random_range(1..30)),
        });
    }
    if dice.random_bool(0.1) {
        faults.lock_423 = Some(Locked { remaining: Some(dice.random_range(1..3)) });
    }
    if dice.random_bool(0.05) {
        let retry_after_s = dice.random_range(1..5);
        faults.migrating_477 = Some(Migrating { retry_after_s, remaining: Some(1) });
    }
    if dice.random_bool(0.25) {
        let keys = (0..3).map(|_| entities.choose(dice).expect("an entity").id.clone());
        faults.poison = Some(Poison { keys: keys.collect() });
    }
    faults
}
