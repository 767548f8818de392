//! Any JSON whatsoever through admission and mapping: nothing panics, and the same goes in and out.

use hubferry::mapping::{Input, Mapping};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{admitted, builtin};

/// Any JSON, with keys and texts that the mapping files look for among others.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = "specversion|id|source|type|subject|time|priority|portal|data|email|first_name|phone\
                |country|address|line1|amount|value|currency|status|project|name|title|reference\
                |employees|industry|domain|website|due_date|probability|payment|paid_at|business_id\
                |[a-z_/~]{0,4}";
    let texts = prop_oneof![
        "(user|milestone|dispute|business)\\.(created|updated|deleted|erased)",
        any::<String>(),
        "\\PC{0,20}",
        "[0-9+. -]{0,20}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2}))?",
        "[a-zA-Z.]{0,8}@[a-z.-]{0,12}",
        "FR|US|EUR|high|paid|default|1\\.0",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..12)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => {
            Map::from_iter([("email".to_owned(), other.clone()), ("amount".to_owned(), other)])
        }
    }
}

proptest! {
    #[test]
    fn no_json_makes_admission_panic(raw in any_json(), data in any_json()) {
        let mut event = object(raw.clone());
        event.insert("type".to_owned(), json!("user.created"));
        event.insert("data".to_owned(), data);
        for raw in [raw, Value::Object(event)] {
            let first = admitted(&raw).map(|event| (event.hash, event.time, event.id));
            prop_assert_eq!(first, admitted(&raw).map(|event| (event.hash, event.time, event.id)));
        }
    }

    #[test]
    fn no_json_makes_mapping_panic_and_the_same_comes_out_each_time(
        kind in "(user|milestone|dispute|business)\\.(created|updated|resolved|paid|deleted)",
        data in any_json(),
    ) {
        let mapping = builtin_once();
        let (event_type, data) = (kind.parse().unwrap(), object(data));
        let input = Input { event_type: &event_type, subject: "x-1", data: &data };
        let first = mapping.map(&input);
        prop_assert_eq!(&first, &mapping.map(&input));
        for fault in first.err().into_iter().flatten() {
            let event = json!({"type": kind, "data": data});
            let parent = fault.pointer.rsplit_once('/').unwrap_or_default().0;
            prop_assert!(fault.code == "required" || event.pointer(parent).is_some());
        }
    }
}

fn builtin_once() -> &'static Mapping {
    static MAPPING: std::sync::OnceLock<Mapping> = std::sync::OnceLock::new();
    MAPPING.get_or_init(builtin)
}
