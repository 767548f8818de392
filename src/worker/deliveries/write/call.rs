//! The call that writes records.

use crate::hubspot::Call;
use crate::hubspot::batch::{self, Input, Write};
use crate::queue::model::Stage;
use crate::worker::deliveries::delivery::Context;
use crate::worker::deliveries::write::Writing;

pub(super) fn call(cx: &Context<'_>, items: &[Writing]) -> Call {
    let how = match cx.stage {
        Stage::Update => Write::Update,
        _ => Write::Upsert(&cx.object.key),
    };
    batch::write(cx.worker.connection.client.version(), &cx.object.plural, how, &inputs(items))
}

/// The inputs of the call.
pub(super) fn inputs(items: &[Writing]) -> Vec<&Input> {
    items.iter().map(|work| &work.input).collect()
}
