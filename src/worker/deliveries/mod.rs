//! The kinds of calls to HubSpot. Each is a folder with the same files: `select` chooses what one
//! call takes, `call` builds it, and `judge` reads the answer. `drive` does the rest for all.

mod adopt;
mod associate;
mod delete;
mod delivery;
mod drive;
mod settle;
mod write;

use std::marker::PhantomData;

use futures_util::future::BoxFuture;

use crate::queue::model::Stage;
use crate::worker::Worker;
use crate::worker::work::{Delivered, StepError, Work};
pub(super) use adopt::Conflicts;
use delivery::Delivery;

/// The delivery of records that are due for `stage`.
pub(super) fn of(stage: Stage) -> &'static dyn Kind {
    match stage {
        Stage::Create | Stage::Update => &PhantomData::<write::Write>,
        Stage::Resolve => &PhantomData::<adopt::Adopt>,
        Stage::Associate => &PhantomData::<associate::Associate>,
        Stage::Archive | Stage::Erase => &PhantomData::<delete::Delete>,
    }
}

/// A kind of delivery.
pub(super) trait Kind: Sync {
    /// The most records of one lease.
    fn largest(&self) -> usize;

    /// Delivers a leased batch.
    fn deliver<'a>(
        &self,
        worker: &'a Worker,
        work: Work<'a>,
    ) -> BoxFuture<'a, Result<Delivered, StepError>>;
}

impl<D: Delivery> Kind for PhantomData<D> {
    fn largest(&self) -> usize {
        D::LARGEST
    }

    fn deliver<'a>(
        &self,
        worker: &'a Worker,
        work: Work<'a>,
    ) -> BoxFuture<'a, Result<Delivered, StepError>> {
        Box::pin(drive::drive::<D>(worker, work))
    }
}
