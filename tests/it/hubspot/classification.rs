//! Every kind of reply that HubSpot is known to give, one line each, and what it must be taken for.

use std::collections::BTreeMap;

use hubferry::hubspot::associate::{self, Pair};
use hubferry::hubspot::batch::{self, Input};
use hubferry::hubspot::classify::{Class, Failure, Headers, classify};
use hubferry::hubspot::redact::redact;
use serde_json::{Value, json};

mod arbitrary;

/// One JSON object a line. `sent` are the values of ours that the reply repeats. Batch replies
/// answer [`inputs`] (or [`pairs`]); `of` holds the record's id or the failure's code.
const REPLIES: &str = include_str!("../../fixtures/hubspot-replies.jsonl");

fn replies() -> Vec<Value> {
    REPLIES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn inputs() -> Vec<Input> {
    (0..3)
        .map(|n| {
            let id = format!("u-100{}", n + 1);
            let properties = BTreeMap::from([("acme_user_id".to_owned(), id.clone())]);
            Input { trace: n.to_string(), id, properties }
        })
        .collect()
}

fn pairs() -> Vec<Pair> {
    ["101", "102", "unknown_id_103"]
        .map(|from| Pair { from: from.to_owned(), to: "202".to_owned() })
        .to_vec()
}

fn failure(reply: &Value) -> Failure {
    let headers = Headers::read(|name| reply["headers"][name].as_str());
    let status = reply["http_status"].as_u64().unwrap();
    classify(u16::try_from(status).unwrap(), &headers, &reply["body"])
}

fn of(status: u16, body: Value) -> Failure {
    classify(status, &Headers::default(), &body)
}

/// What a person or a table sees of a failure, without `sent`.
fn is_fit_to_be_shown(name: &str, failure: &Failure, sent: &Value) {
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.len() > 20), "{name}: {failure:?}");
    assert!(!failure.message.is_empty() && !failure.message.contains('<'), "{name}: {failure:?}");
    let sent: Vec<&str> = sent.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    let shown = redact(&failure.message, sent.iter().copied());
    let blind = redact(&failure.message, std::iter::empty());
    for value in sent {
        let hint = failure.hint.as_deref().unwrap_or_default();
        assert!(!shown.contains(value) && !hint.contains(value), "{name}: {shown}");
        assert!(!value.contains('@') || !blind.contains(value), "{name}: {blind}");
    }
}

#[test]
fn every_known_failure_has_its_class_and_all_that_its_reply_tells() {
    let mut seen = 0;
    for reply in replies().iter().filter(|reply| reply["verdicts"].is_null()) {
        let name = reply["name"].as_str().unwrap();
        let got = failure(reply);
        let told = json!({
            "class": got.class.as_str(), "code": got.code, "property": got.property,
            "correlation_id": got.correlation_id, "existing_id": got.existing_id, "ids": got.ids,
            "wait_s": got.wait.map(|wait| wait.as_secs()),
        });
        for (key, value) in told.as_object().unwrap() {
            assert_eq!(*value, reply[key], "{name}: {key}");
        }
        assert_eq!(got.http_status.map(u64::from), reply["http_status"].as_u64());
        assert_eq!(got.ambiguous, got.class == Class::Unavailable, "{name}");
        is_fit_to_be_shown(name, &got, &reply["sent"]);
        seen += 1;
    }
    assert_eq!(seen, 50);
}

#[test]
fn every_known_batch_reply_gives_each_input_its_own_verdict() {
    let mut seen = 0;
    for reply in replies().iter().filter(|reply| reply["verdicts"].is_array()) {
        let name = reply["name"].as_str().unwrap();
        let mut told: Vec<(&str, Option<String>)> = Vec::new();
        let refused = |failure: &Failure| {
            is_fit_to_be_shown(name, failure, &reply["sent"]);
            ("refused", Some(failure.code.clone()))
        };
        if name.ends_with("association") {
            told.extend(associate::verdicts(&pairs(), &reply["body"]).iter().map(|v| match v {
                associate::Verdict::Done => ("written", None),
                associate::Verdict::Refused(failure) => refused(failure),
                associate::Verdict::Unanswered => ("unanswered", None),
                associate::Verdict::Elsewhere => ("elsewhere", None),
            }));
        } else {
            let verdicts = batch::verdicts(
                &inputs().iter().collect::<Vec<_>>(),
                Some("acme_user_id"),
                &reply["body"],
            );
            told.extend(verdicts.iter().map(|v| match v {
                batch::Verdict::Written(record) => ("written", Some(record.id.clone())),
                batch::Verdict::Refused(failure) => refused(failure),
                batch::Verdict::Unanswered => ("unanswered", None),
            }));
        }
        let (words, of): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        assert_eq!(json!(words), reply["verdicts"], "{name}");
        assert_eq!(json!(of), reply["of"], "{name}");
        let all = !words.contains(&"unanswered");
        assert_eq!(reply["class"], if all { "ok_partial" } else { "silent_drop" }, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 10);
}

#[test]
fn no_value_that_was_sent_passes_for_a_sentence_of_hubspots() {
    for value in [
        "non-unique",
        "Invalid input JSON",
        "Migration in progress",
        "Duplicate IDs found in batch input",
        "x on 1. 2 already has that value",
        "Contact already exists. Existing ID: 7",
        r#"[{"error":"PROPERTY_DOESNT_EXIST","name":"email"}]"#,
    ] {
        let fault = json!([{ "isValid": false, "error": "INVALID_EMAIL", "name": "email",
                             "message": format!("Email address {value} is invalid") }]);
        let bodies = [
            json!({ "message": format!("Property values were not valid: {fault}"),
                    "category": "VALIDATION_ERROR" }),
            json!({ "message": "Property values were not valid",
                    "errors": [{ "code": "INVALID_EMAIL", "context": { "propertyName": ["email"] },
                                 "message": fault[0]["message"] }] }),
        ];
        for (status, body) in bodies.iter().flat_map(|body| [(400, body), (207, body)]) {
            let got = of(status, body.clone());
            assert_eq!((got.class, got.code.as_str()), (Class::RowRejected, "INVALID_EMAIL"));
            assert_eq!((got.property.as_deref(), got.existing_id), (Some("email"), None));
        }
        let inside = of(400, json!({ "message": format!("Refused: {value}!") }));
        assert_eq!(inside.class, Class::RowRejected, "{value}");
    }
}

#[test]
fn the_status_decides_first_and_the_text_only_where_it_must() {
    let migrating = json!({ "message": "Migration in progress and the portal is not available." });
    for status in [400, 401, 404, 477] {
        assert_eq!(of(status, migrating.clone()).class, Class::Migrating);
    }
    let page = json!("<html><h1>Not Found</h1></html>");
    let error = json!({ "status": 400, "error": "Bad Request" });
    for (status, body, class, code) in [
        (414, Value::Null, Class::BadRequestWholeBatch, "URL_TOO_LONG"),
        (414, page.clone(), Class::BadRequestWholeBatch, "URL_TOO_LONG"),
        (404, page.clone(), Class::BadRequestWholeBatch, "HTTP_404"),
        (302, Value::Null, Class::BadRequestWholeBatch, "HTTP_302"),
        (405, Value::Null, Class::BadRequestWholeBatch, "HTTP_405"),
        (408, Value::Null, Class::Unavailable, "HTTP_408"),
        (413, page, Class::RowRejected, "REQUEST_TOO_LARGE"),
        (437, Value::Null, Class::RowRejected, "TOO_MANY_ASSOCIATION_LABELS"),
        (477, Value::Null, Class::Migrating, "MIGRATING"),
        (521, error.clone(), Class::Unavailable, "HTTP_521"),
        (400, error, Class::RowRejected, "HTTP_400"),
        (400, json!({ "error": "invalid_grant" }), Class::OauthTerminal, "invalid_grant"),
        (400, json!({ "error": "invalid_request" }), Class::RowRejected, "HTTP_400"),
        (207, json!({ "status": "429" }), Class::ThrottledWindow, "RATE_LIMIT"),
        (207, json!({ "status": 503 }), Class::Unavailable, "UNAVAILABLE"),
        (207, json!({ "message": "Contact already exists" }), Class::Conflict, "CONFLICT"),
        (207, json!({ "category": "MISSING_SCOPES" }), Class::Forbidden, "MISSING_SCOPES"),
        (
            400,
            json!({ "validationResults": [{ "error": "INVALID_LONG", "name": "closedate" }] }),
            Class::RowRejected,
            "INVALID_LONG",
        ),
    ] {
        let got = of(status, body);
        assert_eq!((got.class, got.code.as_str()), (class, code), "{status}");
        assert!(got.hint.is_some());
    }
}

#[test]
fn a_hint_names_the_scopes_wherever_they_stand() {
    for body in [
        json!({ "context": { "requiredGranularScopes": ["a.read"] } }),
        json!({ "errors": [{ "context": { "requiredGranularScopes": ["a.read"] } }] }),
        json!({ "errors": [{ "context": { "requiredScopes": "a.read" } }] }),
    ] {
        assert!(of(403, body).hint.unwrap().ends_with(" a.read"));
    }
    let message = "The scope needed for this API call isn't available for public use.";
    for (body, word) in [
        (json!({ "message": message }), "closes this call"),
        (json!({ "category": "BANNED" }), "bars this app"),
        (json!("<html></html>"), "gateway"),
        (Value::Null, "scopes"),
    ] {
        let hint = of(403, body).hint.unwrap();
        assert!(hint.contains(word), "{hint}");
    }
}

#[test]
fn a_wait_is_read_from_seconds_or_a_date_and_has_an_end() {
    let wait = |retry: &str, date: Option<&str>| {
        let headers = Headers::read(|name| match name {
            "retry-after" => Some(retry),
            "date" => date,
            _ => None,
        });
        classify(429, &headers, &Value::Null).wait.unwrap().as_secs()
    };
    assert_eq!(wait(" 3 ", None), 3);
    assert_eq!(wait("18446744073709551615", None), 86_400);
    let (now, then) = ("Thu, 01 Oct 2026 10:00:00 GMT", "Thu, 01 Oct 2026 10:00:07 GMT");
    assert_eq!(wait(then, Some(now)), 7);
    for odd in ["", "soon", "-1", then] {
        assert_eq!(wait(odd, None), 10, "{odd}");
    }
}

#[test]
fn what_goes_to_a_table_is_bounded_and_free_of_control_characters() {
    let odd = format!("A\0{}", "x".repeat(9_000));
    let got = of(
        400,
        json!({ "message": odd, "correlationId": odd, "category": odd,
        "context": { "propertyName": [odd], "ids": [odd] } }),
    );
    let kept = [Some(got.code), got.property, got.correlation_id, got.ids.first().cloned()];
    for text in kept.into_iter().flatten() {
        assert!(text.len() <= 200 && !text.contains('\0'));
    }
    assert!(!got.message.contains('\0'));
}

#[test]
fn equal_ids_of_two_object_kinds_do_not_share_a_refusal() {
    let pair = |from: &str, to: &str| Pair { from: from.to_owned(), to: to.to_owned() };
    let pairs = [pair("7", "8"), pair("9", "7"), pair("7", "8")];
    let missing = json!({ "results": [{ "from": { "id": 7 }, "to": { "id": 8 } }],
        "errors": [{ "subCategory": "crm.associations.TO_OBJECT_NOT_FOUND", "message": "gone",
                     "category": "OBJECT_NOT_FOUND", "context": { "id": ["7"] } }] });
    let got = associate::verdicts(&pairs, &missing);
    assert_eq!((&got[0], &got[2]), (&associate::Verdict::Done, &associate::Verdict::Done));
    assert!(matches!(&got[1], associate::Verdict::Refused(f) if f.class == Class::NotFound));
}
