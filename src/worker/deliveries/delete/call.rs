//! The call that deletes records, or reads what must be known first.

use crate::engine::plan::Planned;
use crate::hubspot::batch::{MERGED, Write};
use crate::hubspot::{Call, batch};
use crate::worker::deliveries::delete::{Purpose, adopted};
use crate::worker::deliveries::delivery::Context;

pub(super) fn call(cx: &Context<'_>, purpose: Purpose, items: &[Planned]) -> Call {
    let (version, object) = (cx.worker.connection.client.version(), cx.object);
    let plural = &object.plural;
    let links: Vec<String> = items.iter().filter_map(|p| p.record.hubspot_id.clone()).collect();
    match purpose {
        Purpose::Find => {
            let keys: Vec<String> = items.iter().map(|p| cx.key_of(p)).collect();
            batch::read(version, plural, Some(&object.key), &keys, &[&object.key])
        }
        Purpose::Verify => batch::read(version, plural, None, &links, &[&object.key, MERGED]),
        Purpose::Archive => batch::archive(version, plural, &links),
        Purpose::Unlink => {
            let inputs = adopted::keyless(object, items);
            batch::write(version, plural, Write::Update, &inputs.iter().collect::<Vec<_>>())
        }
        Purpose::Erase => {
            let body = serde_json::json!({ "objectId": links.first() });
            Call::post(version.gdpr_delete(plural), format!("erase {plural}"), body, 1)
        }
    }
}
