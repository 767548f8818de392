//! Reads what a reply says of each input.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Input, Verdict, Written};
use crate::hubspot::body::{ErrorBody, label, scalar};
use crate::hubspot::classify::{Class, Headers, classify};

/// Returns the records that a reply contains.
#[must_use]
pub fn results(body: &Value) -> Vec<Written> {
    items(body, "results").filter_map(written).collect()
}

/// Returns the ids that a reply reports as not found. An id that it does not mention may still
/// exist.
#[must_use]
pub fn missing(body: &Value) -> HashSet<String> {
    items(body, "errors")
        .map(|error| classify(207, &Headers::default(), error))
        .filter(|failure| failure.class == Class::NotFound)
        .flat_map(|failure| failure.ids)
        .collect()
}

/// Returns one verdict for each input, in the order of `inputs`. `key` is the unique property of an
/// upsert.
#[must_use]
pub fn verdicts(inputs: &[&Input], key: Option<&str>, body: &Value) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Unanswered; inputs.len()];
    let by_trace = index(inputs, |input| &input.trace);
    let by_id = index(inputs, |input| &input.id);
    let places = |index: &HashMap<&str, Vec<usize>>, name: &str| {
        index.get(name).cloned().unwrap_or_default()
    };
    for result in items(body, "results") {
        let Some(record) = written(result) else { continue };
        let named = match trace_of(result) {
            // A trace id that was not sent matches no input.
            Some(trace) => places(&by_trace, &trace),
            None => match key {
                Some(key) => {
                    record.properties.get(key).map(|v| places(&by_id, v)).unwrap_or_default()
                }
                None => places(&by_id, &record.id),
            },
        };
        for place in named {
            verdicts[place] = Verdict::Written(record.clone());
        }
    }
    let mut nameless = Vec::new();
    for error in items(body, "errors") {
        let decoded = ErrorBody::decode(error);
        let failure = classify(207, &Headers::default(), error);
        let traces = decoded.context.get("objectWriteTraceId");
        let named: Vec<usize> = traces
            .into_iter()
            .flatten()
            .flat_map(|trace| places(&by_trace, trace))
            .chain(failure.ids.iter().flat_map(|id| places(&by_id, id)))
            .collect();
        for &place in &named {
            if verdicts[place] == Verdict::Unanswered {
                verdicts[place] = Verdict::Refused(failure.clone());
            }
        }
        if named.is_empty() && traces.is_none() {
            nameless.push(failure);
        }
    }
    // If one error has no id and one input has no answer, they belong together.
    let open: Vec<usize> =
        (0..inputs.len()).filter(|&i| verdicts[i] == Verdict::Unanswered).collect();
    if let ([place], [failure]) = (open.as_slice(), nameless.as_slice()) {
        verdicts[*place] = Verdict::Refused(failure.clone());
    }
    verdicts
}

fn items<'a>(body: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    body.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Maps each name to its positions. A repeated name stands for all its positions.
fn index<'a>(
    inputs: &[&'a Input],
    of: impl Fn(&'a Input) -> &'a str,
) -> HashMap<&'a str, Vec<usize>> {
    let mut index: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, input) in inputs.iter().enumerate() {
        index.entry(of(input)).or_default().push(place);
    }
    index
}

/// Returns the trace id of a result: a text, a number, or a list of one. Anything else matches no
/// input.
fn trace_of(result: &Value) -> Option<String> {
    let trace = match result.get("objectWriteTraceId")? {
        Value::Null => return None,
        Value::Array(list) if list.len() == 1 => scalar(&list[0]),
        single => scalar(single),
    };
    Some(trace.unwrap_or_default())
}

fn written(result: &Value) -> Option<Written> {
    let text = |value: &Value| match value {
        Value::Bool(flag) => Some(flag.to_string()),
        value => scalar(value),
    };
    let properties = result.get("properties").and_then(Value::as_object);
    let warnings = items(result, "warnings").map(|warning| {
        let name = |at: &str| {
            let value = warning.pointer(at)?;
            value.get(0).or(Some(value)).and_then(scalar).as_deref().and_then(label)
        };
        let category = name("/category").unwrap_or_else(|| "WARNING".into());
        (name("/context/propertyName"), category)
    });
    Some(Written {
        id: result.get("id").and_then(scalar).as_deref().and_then(label)?,
        new: result.get("new").and_then(Value::as_bool).unwrap_or(false),
        properties: properties
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value).unwrap_or_default()))
            .collect(),
        warnings: warnings.collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn inputs() -> Vec<Input> {
        ["0", "1", "2"]
            .iter()
            .map(|t| Input {
                trace: (*t).into(),
                id: format!("u-{t}"),
                properties: BTreeMap::from([("hubferry_id".into(), format!("u-{t}"))]),
            })
            .collect()
    }

    fn result(id: &str, trace: Option<&str>, key: &str) -> Value {
        let mut item = json!({ "id": id, "new": true, "properties": { "hubferry_id": key } });
        if let Some(trace) = trace {
            item["objectWriteTraceId"] = json!(trace);
        }
        item
    }

    #[test]
    fn shuffled_results_find_their_inputs_by_trace_id_and_by_key() {
        let body = json!({ "results": [result("12", Some("2"), "u-2"), result("10", None, "u-0")],
            "errors": [{ "category": "VALIDATION_ERROR", "message": "no",
                         "context": { "objectWriteTraceId": ["1"] } }], "numErrors": 7 });
        let got = verdicts(&inputs().iter().collect::<Vec<_>>(), Some("hubferry_id"), &body);
        assert!(matches!(&got[0], Verdict::Written(w) if w.id == "10"));
        assert!(matches!(&got[1], Verdict::Refused(f) if f.code == "VALIDATION_ERROR"));
        assert!(matches!(&got[2], Verdict::Written(w) if w.id == "12"));
    }

    #[test]
    fn a_foreign_trace_id_and_a_lying_count_leave_the_input_unanswered() {
        let body = json!({ "results": [result("10", Some("0"), "u-0"), result("11", Some("1"), "u-1"),
            result("99", Some("zz"), "u-9")], "numErrors": 1 });
        assert_eq!(
            verdicts(&inputs().iter().collect::<Vec<_>>(), Some("hubferry_id"), &body)[2],
            Verdict::Unanswered
        );
    }

    #[test]
    fn one_item_may_name_several_inputs_and_a_nameless_one_is_matched_by_elimination() {
        let grouped = json!({ "results": [result("10", Some("0"), "u-0")],
            "errors": [{ "category": "OBJECT_NOT_FOUND", "message": "gone", "context": { "ids": ["u-1", "u-2"] } }] });
        let got = verdicts(&inputs().iter().collect::<Vec<_>>(), Some("hubferry_id"), &grouped);
        assert!(matches!((&got[1], &got[2]), (Verdict::Refused(_), Verdict::Refused(_))));
        let nameless = json!({ "results": [result("10", Some("0"), "u-0"), result("11", Some("1"), "u-1")],
            "errors": [{ "message": "bad" }] });
        let got = verdicts(&inputs().iter().collect::<Vec<_>>(), Some("hubferry_id"), &nameless);
        assert!(matches!(&got[2], Verdict::Refused(_)));
    }
}
