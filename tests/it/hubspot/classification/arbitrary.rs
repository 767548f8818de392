//! Any reply whatsoever: nothing panics, every input has its one verdict, nothing is made up.

use std::collections::{BTreeMap, BTreeSet};

use hubferry::hubspot::associate::{self, Pair};
use hubferry::hubspot::batch::{self, Input, Verdict};
use hubferry::hubspot::body::ErrorBody;
use hubferry::hubspot::classify::{Headers, classify};
use hubferry::hubspot::redact::redact;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any JSON, with the keys and texts that are looked for among others.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = "status|message|category|subCategory|policyName|error|error_description|context\
                |correlationId|errors|validationResults|code|name|identityProfile|vid|existingId\
                |objectWriteTraceId|propertyName|ids|id|from|to|results|properties|key|warnings\
                |fromObjectId|toObjectId|new|[a-z]{0,3}";
    let texts = prop_oneof![
        any::<String>(),
        "[0-3]",
        "Property values were not valid:.{0,30}",
        "Property values were not valid: \\[(\\{\"error\":\"[A-Z]{0,3}\",?\"?\\}?){0,3}\\]?",
        "(Contact already exists. Existing ID: )[0-9a]{0,3}",
        "Cannot set PropertyValueCoordinates\\{.{0,9}value=.{0,5}\\} on .{0,4} already has that value",
        "Email address .{0,9} is invalid|.{0,5} was not one of the allowed options",
        "CONFLICT|VALIDATION_ERROR|DAILY|MISSING_SCOPES|RATE_LIMITS|invalid_grant|400|429|503",
        "['\"<]?[a-z.+]{0,4}[@＠]{0,2}[a-z.-]{0,4}[+(0-9) .-]{0,20}.?",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A batch reply: items that are nearly right among any JSON.
fn any_reply() -> impl Strategy<Value = Value> {
    let name = || "[0-3]|u-[0-3]|[a-z]{1,2}";
    let result = (any::<bool>(), name(), name(), name(), any::<u8>()).prop_map(
        |(traced, trace, key, id, odd)| {
            let mut item = json!({ "id": id, "properties": { "key": key },
                "from": { "id": id }, "to": { "id": key } });
            if traced {
                item["objectWriteTraceId"] = json!(trace);
            }
            match odd {
                0..16 => item["id"] = Value::Null,
                16..32 => item["objectWriteTraceId"] = json!([trace]),
                32..48 => item["objectWriteTraceId"] = json!(2),
                48..64 => item["properties"] = Value::Null,
                _ => {}
            }
            item
        },
    );
    let context = prop_oneof![
        any_json(),
        name().prop_map(|n| json!({ "objectWriteTraceId": [n] })),
        name().prop_map(|n| json!({ "ids": [n, "2"] })),
    ];
    let error = context.prop_map(|context| json!({ "context": context, "message": "no" }));
    let items = |of: BoxedStrategy<Value>| {
        prop::collection::vec(prop_oneof![4 => of, 1 => any_json()], 0..6).prop_map(Value::from)
    };
    let items = (items(result.boxed()), items(error.boxed()), any::<u8>());
    items.prop_map(|(results, errors, claimed)| {
        json!({ "status": "COMPLETE", "results": results, "errors": errors, "numErrors": claimed })
    })
}

fn any_inputs() -> impl Strategy<Value = Vec<Input>> {
    prop::collection::vec("[0-3]|u-[0-3]", 0..5).prop_map(|ids| {
        let input = |(n, id): (usize, String)| Input {
            trace: n.to_string(),
            id,
            properties: BTreeMap::new(),
        };
        ids.into_iter().enumerate().map(input).collect()
    })
}

/// Every string and number of a result, at any depth: all that it can name.
fn named(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Number(number) => drop(found.insert(number.to_string())),
        Value::Array(items) => items.iter().for_each(|item| named(item, found)),
        Value::Object(members) => members.values().for_each(|member| named(member, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn results(reply: &Value) -> Vec<BTreeSet<String>> {
    let items = reply["results"].as_array().cloned().unwrap_or_default();
    let each = |item: &Value| {
        let mut found = BTreeSet::new();
        named(item, &mut found);
        found
    };
    items.iter().map(each).collect()
}

proptest! {
    #[test]
    fn no_body_makes_classification_panic_or_leaves_a_person_without_a_hint(
        status in prop_oneof![Just(207_u16), Just(400), 300..600_u16, any::<u16>()],
        body in any_json(),
        retry_after in proptest::option::of(".{0,20}|[0-9]{1,20}"),
    ) {
        let headers = Headers::read(|name| retry_after.as_deref().filter(|_| name == "retry-after"));
        let got = classify(status, &headers, &body);
        prop_assert!(!got.code.is_empty() && !got.message.is_empty());
        prop_assert!(got.hint.is_some_and(|hint| !hint.is_empty()));
        prop_assert!(got.wait.is_none_or(|wait| wait.as_secs() <= 86_400));
        prop_assert!(!got.message.contains('\0') && !got.code.contains('\0'));
        let _ = ErrorBody::decode(&body).first();
    }

    #[test]
    fn no_bytes_make_redaction_panic_or_grow_and_no_long_value_stays(
        before in "\\PC{0,20}", value in "[a-z]{8,20}", after in any::<String>(),
        more in prop::collection::vec(any::<String>(), 0..4),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let message = format!("{before}{value}{after}");
        let sent = more.iter().map(String::as_str).chain([value.as_str()]);
        let told = redact(&message, sent);
        prop_assert!(told.len() <= 503);
        // Another value may begin before and end within it.
        prop_assert!(!told.contains(&value), "{}", told);
        let bytes = String::from_utf8_lossy(&bytes);
        prop_assert!(!redact(&bytes, [&*bytes].into_iter()).contains('\0'));
    }

    #[test]
    fn no_address_stays_whatever_it_is_glued_to(
        before in "[ \"'<(:,;=-]{0,3}",
        local in "[a-zA-Z0-9][a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{2,12}", domain in "[a-z]{2,8}(\\.[a-z]{2,4}){1,2}",
        after in "[ \"'>),:;.!]{0,3}",
    ) {
        prop_assume!(!local.contains(['{', '}']));
        // What stands there anyway.
        prop_assume!(!format!("see{before}[value]{after}end").contains(&local));
        let told = redact(&format!("see{before}{local}@{domain}{after}end"), std::iter::empty());
        prop_assert!(!told.contains(&local) && !told.contains(&domain), "{}", told);
    }

    #[test]
    fn every_input_has_one_verdict_and_none_is_written_that_no_result_names(
        inputs in any_inputs(),
        reply in prop_oneof![3 => any_reply(), 1 => any_json()],
        key in prop_oneof![Just(None), Just(Some("key"))],
    ) {
        let verdicts = batch::verdicts(&inputs.iter().collect::<Vec<_>>(), key, &reply);
        prop_assert_eq!(verdicts.len(), inputs.len());
        let results = results(&reply);
        for (input, verdict) in inputs.iter().zip(&verdicts) {
            if let Verdict::Written(record) = verdict {
                let names = |result: &BTreeSet<String>| {
                    result.contains(&record.id)
                        && (result.contains(&input.trace) || result.contains(&input.id))
                };
                prop_assert!(results.iter().any(names), "{:?} {}", input, reply);
            }
        }
    }

    #[test]
    fn every_pair_has_one_verdict_and_none_is_done_that_no_result_names(
        ends in prop::collection::vec(("[0-3]|u-[0-3]", "[0-3]|u-[0-3]"), 0..5),
        reply in prop_oneof![3 => any_reply(), 1 => any_json()],
    ) {
        let pairs: Vec<Pair> = ends.into_iter().map(|(from, to)| Pair { from, to }).collect();
        let verdicts = associate::verdicts(&pairs, &reply);
        prop_assert_eq!(verdicts.len(), pairs.len());
        let results = results(&reply);
        for (pair, verdict) in pairs.iter().zip(&verdicts) {
            let named = results.iter().any(|r| r.contains(&pair.from) && r.contains(&pair.to));
            // A 204 has no body and covers all its pairs.
            prop_assert!(*verdict != associate::Verdict::Done || named || reply.is_null());
        }
    }
}
