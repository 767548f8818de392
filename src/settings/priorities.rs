//! The priority of events that do not name one, by event type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{EventType, Priority};

/// Priorities by event type, or by entity as `user.*`. The exact event type wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priorities(pub BTreeMap<String, Priority>);

impl Priorities {
    /// Returns the priority for an event type. With `None`, the mapping decides.
    #[must_use]
    pub fn of(&self, event_type: &EventType) -> Option<Priority> {
        let whole = || self.0.get(&format!("{}.*", event_type.entity()));
        self.0.get(event_type.as_str()).or_else(whole).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_type_wins_over_its_entity_and_others_are_left_to_the_mapping() {
        let given = [("user.*", Priority::Low), ("user.deleted", Priority::High)];
        let priorities = Priorities(given.map(|(k, p)| (k.to_owned(), p)).into());
        let of = |text: &str| priorities.of(&text.parse().unwrap());
        assert_eq!(of("user.deleted"), Some(Priority::High));
        assert_eq!(of("user.updated"), Some(Priority::Low));
        assert_eq!(of("users.updated"), None);
    }
}
