//! Lists what the files do not read of an event's data, so that unused data can be explained. Pure.

use serde_json::{Map, Value};

use super::pointer::Pointer;
use super::{ExternalId, Input, Mapping, Target};

impl Mapping {
    /// Returns pointers, relative to the event, to the data of `input` that no file reads.
    pub fn unread(&self, input: &Input<'_>) -> Vec<String> {
        let outputs = self.outputs.get(input.event_type.entity()).into_iter().flatten();
        let mut read = Vec::new();
        for output in outputs.filter(|o| o.verbs.contains_key(input.event_type.verb())) {
            let fields = output.fields.iter().flat_map(|field| field.source.places());
            read.extend(fields.map(Pointer::in_event));
            read.extend(output.slots.iter().filter_map(|slot| match &slot.target {
                Target::At(from) => Some(from.in_event()),
                Target::Output(_) => None,
            }));
            if let ExternalId::At(from) = &output.external_id {
                read.push(from.in_event());
            }
        }
        let mut unread = Vec::new();
        walk(input.data, "/data", &read, &mut unread);
        unread
    }
}

fn walk(members: &Map<String, Value>, at: &str, read: &[String], unread: &mut Vec<String>) {
    for (name, value) in members {
        let pointer = crate::event::child(at, name);
        if read.contains(&pointer) {
            continue;
        }
        let below = format!("{pointer}/");
        match value {
            Value::Object(members) if read.iter().any(|place| place.starts_with(&below)) => {
                walk(members, &pointer, read, unread);
            }
            Value::Array(_) if read.iter().any(|place| place.starts_with(&below)) => {}
            // A null on the way makes everything below it null.
            Value::Null if read.iter().any(|place| place.starts_with(&below)) => {}
            _ => unread.push(pointer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mapping::Vars;

    #[test]
    fn what_no_file_reads_is_named_and_what_looks_aside_is_read() {
        let mapping = Mapping::builtin(&Vars::default()).unwrap();
        let unread = |event_type: &str, data: Value| {
            let event_type = event_type.parse().unwrap();
            let data = data.as_object().unwrap().clone();
            mapping.unread(&Input { event_type: &event_type, subject: "1", data: &data })
        };
        let user = json!({ "email": "a@example.com", "phone": "1", "country": "FR", "business_id": "b",
            "shoe~size": 43, "extra": { "a": 1 } });
        assert_eq!(unread("user.updated", user), ["/data/extra", "/data/shoe~0size"]);
        let business = json!({ "address": { "city": "Paris", "floor": 3 } });
        assert_eq!(unread("business.updated", business), ["/data/address/floor"]);
        assert!(unread("business.updated", json!({ "address": null })).is_empty());
    }
}
