//! Tests admission rule by rule: one row for each refused event, and the defaults that are filled
//! in.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Admission, Event, Fault, Priority, admit, canonical_hash, legible, traceparent};

fn now() -> DateTime<Utc> {
    "2026-11-20T10:00:00.123456789Z".parse().unwrap()
}

fn admitted(raw: &Value) -> Result<Event, Vec<Fault>> {
    let admission =
        Admission { default_source: "app", now: now(), max_ahead: Duration::minutes(5) };
    admit(3, raw, &admission, || Uuid::from_u128(7))
}

fn faults(raw: &Value) -> Vec<String> {
    let faults = admitted(raw).expect_err("refused");
    assert!(faults.iter().all(|fault| fault.index == 3 && !fault.detail.is_empty()));
    faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect()
}

/// Returns a valid event with one attribute replaced.
fn with(name: &str, value: Value) -> Value {
    let mut event = json!({"type": "user.created", "subject": "u-1", "data": {}});
    event[name] = value;
    event
}

#[test]
fn what_is_left_out_is_filled_in() {
    let raw = json!({"type": "user.created", "subject": "u-1", "data": {"a": 1}});
    let event = admitted(&raw).unwrap();
    assert_eq!((event.portal.as_str(), event.source.as_str()), ("default", "app"));
    assert_eq!(event.id, Uuid::from_u128(7).to_string());
    assert_eq!(event.time, None, "the database stamps it");
    assert_eq!(event.priority, None);
    assert_eq!(event.hash, canonical_hash(&raw));
    assert!(!format!("{event:?}").contains("u-1"), "no subject, no data in Debug");
}

#[test]
fn what_is_sent_is_kept_and_extensions_are_ignored() {
    let event = admitted(&json!({
        "specversion": "1.0", "id": "e-1", "source": "safebill/backend", "type": "user.created",
        "subject": "u-1", "time": "2024-12-06T11:00:00.1234567+01:00", "priority": "high",
        "portal": "default", "datacontenttype": "application/JSON; charset=utf-8",
        "dataschema": null, "traceparent": "00-ab", "sequence": 4, "data": {}
    }))
    .unwrap();
    assert_eq!((event.id.as_str(), event.priority), ("e-1", Some(Priority::High)));
    assert_eq!(event.time, "2024-12-06T10:00:00.123456Z".parse().ok());
    let latest = with("time", json!("2026-11-20T10:05:00.123456Z"));
    assert!(admitted(&latest).is_ok(), "exactly as far ahead as is allowed");
}

#[test]
fn a_trace_is_kept_and_makes_no_other_event() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01";
    let plain = admitted(&with("priority", json!("high"))).unwrap();
    let mut raw = with("priority", json!("high"));
    for (given, kept) in [(trace, Some(trace)), (other, Some(other)), ("00-ab", None)] {
        raw["traceparent"] = json!(given);
        let event = admitted(&raw).unwrap();
        assert_eq!(event.traceparent.as_deref(), kept);
        assert_eq!(event.hash, plain.hash);
    }
    let zeros = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    assert_eq!(traceparent(&zeros), None);
    assert_eq!(traceparent(&trace.to_uppercase()), None);
}

#[test]
fn each_broken_rule_is_named_at_its_place() {
    let long = "x".repeat(600);
    let rows = [
        (json!([]), " wrong_type"),
        (with("type", json!(null)), "/type required"),
        (with("type", json!(5)), "/type wrong_type"),
        (with("type", json!("User.Created")), "/type invalid_event_type"),
        (with("subject", json!("")), "/subject empty"),
        (with("subject", json!(12)), "/subject wrong_type"),
        (with("subject", json!(long)), "/subject too_long"),
        (with("subject", json!("a\nb")), "/subject control_character"),
        (with("id", json!(" ")), "/id empty"),
        (with("source", json!(long)), "/source too_long"),
        (with("specversion", json!("0.3")), "/specversion unknown_specversion"),
        (with("portal", json!("other")), "/portal unknown_portal"),
        (with("time", json!("yesterday")), "/time invalid_time"),
        (with("time", json!("1969-12-31T23:59:59Z")), "/time invalid_time"),
        (with("time", json!("9999-12-31T23:59:59-23:59")), "/time invalid_time"),
        (with("time", json!("2026-11-20T10:05:01Z")), "/time time_in_future"),
        (with("time", json!(1_700_000_000)), "/time wrong_type"),
        (with("priority", json!("urgent")), "/priority invalid_priority"),
        (with("datacontenttype", json!("text/xml")), "/datacontenttype unsupported_content_type"),
        (with("data_base64", json!("aGk=")), "/data_base64 unsupported_attribute"),
        (with("trace_id", json!("1")), "/trace_id invalid_attribute_name"),
        (with("data", json!([1])), "/data wrong_type"),
        (with("data", json!({"a/b": ["x", "\0"]})), "/data/a~1b/1 nul_character"),
        (with("data", json!({"k\0": 1})), "/data/k\0 nul_character"),
        (with("data", json!({"big": "x".repeat(256 * 1024)})), " event_too_large"),
    ];
    for (raw, expected) in rows {
        assert_eq!(
            faults(&raw),
            [expected],
            "{}",
            &raw.to_string()[..80.min(raw.to_string().len())]
        );
    }
}

#[test]
fn all_faults_come_at_once_and_their_number_is_bounded() {
    assert_eq!(faults(&json!({})), ["/type required", "/subject required", "/data required"]);
    let many = with("data", json!({"list": vec!["\0"; 5000]}));
    assert_eq!(faults(&many).len(), 100);
}

#[test]
fn the_data_of_a_refused_event_can_still_be_looked_at() {
    let raw = json!({"type": "user.created", "subject": "", "data": {"a": 1}});
    let (event_type, subject, data) = legible(&raw).unwrap();
    assert_eq!((event_type.as_str(), subject, data.len()), ("user.created", "", 1));
    assert!(legible(&json!({"type": "nonsense", "data": {}})).is_none());
}
