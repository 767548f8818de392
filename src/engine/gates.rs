//! Decides which gate a failure of HubSpot's closes: a spent rate limit, a refused token, a missing
//! scope or property. Pure.

use chrono::TimeDelta;

use crate::hubspot::{Blame, Class, Failure};
use crate::queue::gates::gate::Closure;
use crate::queue::gates::kind::GateKind;

/// A gate that must be closed.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    pub(crate) kind: GateKind,
    /// How long it stays closed. `None` means until the day ends.
    pub(crate) wait: Option<TimeDelta>,
    pub(crate) closure: Closure,
}

/// The gate that `failure` of a call about `sync_type` closes, if any.
pub(crate) fn closes(sync_type: &str, failure: &Failure) -> Option<Closing> {
    let missing_property = failure.code == "PROPERTY_DOESNT_EXIST";
    let (kind, told, whole) = match (failure.class, failure.class.blame()) {
        (Class::ThrottledWindow, _) => (GateKind::Window, failure.wait, true),
        (Class::Locked, _) => (GateKind::Locked, failure.wait, true),
        (Class::Migrating, _) => (GateKind::Migrating, failure.wait, true),
        (Class::ThrottledDaily, _) => (GateKind::Daily, None, true),
        (Class::Unauthorized | Class::OauthTerminal, _) => (GateKind::Credentials, None, true),
        (Class::Forbidden, _) => (GateKind::Scope, None, false),
        (_, Blame::Misconfigured) => (GateKind::Schema, None, false),
        _ if missing_property => (GateKind::Schema, None, false),
        _ => return None,
    };
    let wait = match (kind, told) {
        // Whatever HubSpot says: the wait is neither zero nor endless.
        (_, Some(wait)) => {
            let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(1));
            Some(wait.clamp(TimeDelta::seconds(1), TimeDelta::days(1)))
        }
        (GateKind::Daily, None) => None,
        (_, None) => Some(TimeDelta::seconds(60)),
    };
    let closure = Closure {
        sync_type: (!whole).then(|| sync_type.to_owned()),
        code: Some(failure.code.clone()),
        reason: match &failure.property {
            Some(property) => format!("HubSpot refuses `{property}`: {}", failure.code),
            None => format!("HubSpot answered {}", failure.code),
        },
        hint: failure.hint.clone(),
    };
    Some(Closing { kind, wait, closure })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failure(class: Class, wait: Option<Duration>) -> Failure {
        let mut failure = Failure::lost("CODE", "a message".into(), false);
        (failure.class, failure.wait) = (class, wait);
        failure
    }

    #[test]
    fn the_cause_decides_the_gate_and_hubspot_how_long_within_bounds() {
        let gate = |class, wait: Option<u64>| {
            let failure = failure(class, wait.map(Duration::from_secs));
            let closing = closes("contact", &failure)?;
            Some((closing.kind, closing.wait, closing.closure.sync_type))
        };
        let (minute, day) = (TimeDelta::seconds(60), TimeDelta::days(1));
        let kind = Some("contact".to_owned());
        let cases = [
            (
                Class::ThrottledWindow,
                Some(7),
                Some((GateKind::Window, Some(TimeDelta::seconds(7)), None)),
            ),
            (
                Class::ThrottledWindow,
                Some(0),
                Some((GateKind::Window, Some(TimeDelta::seconds(1)), None)),
            ),
            (Class::Migrating, Some(999_999), Some((GateKind::Migrating, Some(day), None))),
            (Class::ThrottledDaily, None, Some((GateKind::Daily, None, None))),
            (Class::Unauthorized, None, Some((GateKind::Credentials, Some(minute), None))),
            (Class::Forbidden, None, Some((GateKind::Scope, Some(minute), kind))),
            (Class::Conflict, None, None),
            (Class::Unavailable, None, None),
        ];
        for (class, wait, expected) in cases {
            assert_eq!(gate(class, wait), expected, "{class:?}");
        }
    }
}
