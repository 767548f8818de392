//! The call that reads the records.

use crate::engine::plan::Planned;
use crate::hubspot::Call;
use crate::hubspot::batch::{self, MERGED};
use crate::worker::deliveries::adopt::{By, MORE_EMAILS, sought};
use crate::worker::deliveries::delivery::Context;

pub(super) fn call(cx: &Context<'_>, by: By, items: &[Planned]) -> Call {
    let object = cx.object;
    let mut ids: Vec<String> = items.iter().filter_map(|p| sought(cx, p, by)).collect();
    ids.sort();
    ids.dedup();
    let mut properties = vec![object.key.as_str(), MERGED];
    if let Some(email) = object.email_property.as_deref().filter(|_| by != By::Key) {
        properties.extend([email, MORE_EMAILS]);
    }
    let property = by.property(object);
    batch::read(cx.worker.connection.client.version(), &object.plural, property, &ids, &properties)
}
