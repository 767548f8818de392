//! Batch calls on associations. HubSpot reports failed pairs even inside a 200.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::body::{ErrorBody, scalar};
use super::classify::{Failure, Headers, classify};
use super::client::Call;
use super::paths::Version;

/// The most pairs in one call. HubSpot accepts 2,000, but a smaller batch keeps a refused call
/// cheap.
pub const LARGEST: usize = 500;

/// A pair of HubSpot ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The HubSpot id of the record that owns the association.
    pub from: String,
    /// The HubSpot id of the other record.
    pub to: String,
}

/// The result for one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The association was made or removed.
    Done,
    /// HubSpot refused the pair.
    Refused(Failure),
    /// The reply does not mention the pair.
    Unanswered,
    /// The reply does not mention the pair, but another one that was not sent: one of the two
    /// records was merged into another.
    Elsewhere,
}

/// Builds the call that makes `pairs` with the association type `type_id`.
#[must_use]
pub fn make(version: &Version, from: &str, to: &str, type_id: u32, pairs: &[Pair]) -> Call {
    let inputs: Vec<Value> = pairs.iter().map(|pair| item(pair, &[type_id])).collect();
    Call::post(
        version.associations(from, to, "create"),
        format!("associate {from} {to}"),
        json!({ "inputs": inputs }),
        pairs.len(),
    )
}

/// Builds the call that removes our `types` from `pairs`. Labels that somebody else added stay.
#[must_use]
pub fn unmake(version: &Version, from: &str, to: &str, types: &[u32], pairs: &[Pair]) -> Call {
    let inputs: Vec<Value> = pairs.iter().map(|pair| item(pair, types)).collect();
    Call::post(
        version.associations(from, to, "labels/archive"),
        format!("dissociate {from} {to}"),
        json!({ "inputs": inputs }),
        pairs.len(),
    )
}

fn item(pair: &Pair, types: &[u32]) -> Value {
    let types: Vec<Value> = types
        .iter()
        .map(|id| json!({ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": id }))
        .collect();
    json!({ "from": { "id": pair.from }, "to": { "id": pair.to }, "types": types })
}

/// Returns one verdict for each pair, in the order of `pairs`. A reply without a body covers all of
/// them.
#[must_use]
pub fn verdicts(pairs: &[Pair], body: &Value) -> Vec<Verdict> {
    if body.is_null() {
        return vec![Verdict::Done; pairs.len()];
    }
    let mut verdicts = vec![Verdict::Unanswered; pairs.len()];
    let mut places: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (place, pair) in pairs.iter().enumerate() {
        places.entry((&pair.from, &pair.to)).or_default().push(place);
    }
    let mut strangers = false;
    for result in body.get("results").and_then(Value::as_array).into_iter().flatten() {
        let id = |nested: &str, flat: &str| {
            result.pointer(nested).or_else(|| result.get(flat)).and_then(scalar)
        };
        let (Some(from), Some(to)) = (id("/from/id", "fromObjectId"), id("/to/id", "toObjectId"))
        else {
            continue;
        };
        match places.get(&(from.as_str(), to.as_str())) {
            Some(found) => found.iter().for_each(|&place| verdicts[place] = Verdict::Done),
            // HubSpot may list each pair a second time in the other direction.
            None => strangers |= !places.contains_key(&(to.as_str(), from.as_str())),
        }
    }
    let mut nameless = Vec::new();
    for error in body.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let failure = classify(207, &Headers::default(), error);
        let decoded = ErrorBody::decode(error);
        let mut found = false;
        for (pair, verdict) in pairs.iter().zip(&mut verdicts) {
            if !names(&decoded, pair) {
                continue;
            }
            found = true;
            if *verdict == Verdict::Unanswered {
                *verdict = Verdict::Refused(failure.clone());
            }
        }
        if !found {
            nameless.push(failure);
        }
    }
    // If one error has no id and one pair has no answer, they belong together.
    let open: Vec<usize> =
        (0..pairs.len()).filter(|&i| verdicts[i] == Verdict::Unanswered).collect();
    if let ([place], [failure]) = (open.as_slice(), nameless.as_slice()) {
        verdicts[*place] = Verdict::Refused(failure.clone());
    }
    if strangers {
        let open = verdicts.iter_mut().filter(|verdict| **verdict == Verdict::Unanswered);
        open.for_each(|verdict| *verdict = Verdict::Elsewhere);
    }
    verdicts
}

/// Whether an error refers to `pair`. Ids of two object kinds can be equal, so the direction counts
/// if the error states it.
fn names(error: &ErrorBody, pair: &Pair) -> bool {
    let has = |key: &str, id: &String| error.context.get(key).is_some_and(|ids| ids.contains(id));
    let sided = |key: &str| error.context.contains_key(key);
    if sided("fromObjectId") || sided("toObjectId") {
        return (!sided("fromObjectId") || has("fromObjectId", &pair.from))
            && (!sided("toObjectId") || has("toObjectId", &pair.to));
    }
    let either = |id: &String| has("id", id) || has("ids", id);
    match error.sub_category.as_deref() {
        Some("crm.associations.TO_OBJECT_NOT_FOUND") => either(&pair.to),
        Some("crm.associations.FROM_OBJECT_NOT_FOUND") => either(&pair.from),
        _ => either(&pair.from) || either(&pair.to),
    }
}

/// Returns one verdict for each pair of a call that removes associations. HubSpot answers such
/// calls without results, so a pair without an error counts as removed.
#[must_use]
pub fn dropped(pairs: &[Pair], body: &Value) -> Vec<Verdict> {
    let silent = |verdict| match verdict {
        Verdict::Unanswered | Verdict::Elsewhere => Verdict::Done,
        spoken => spoken,
    };
    verdicts(pairs, body).into_iter().map(silent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_200_may_hold_errors_and_ids_may_be_numbers() {
        let pairs: Vec<Pair> = [("101", "202"), ("102", "202"), ("x103", "202")]
            .iter()
            .map(|(from, to)| Pair { from: (*from).into(), to: (*to).into() })
            .collect();
        let body = json!({ "status": "COMPLETE", "results": [
            { "fromObjectId": 101, "toObjectId": 202, "labels": [] },
            { "from": { "id": "102" }, "to": { "id": "202" } },
            { "from": { "id": "202" }, "to": { "id": "102" } }],
          "errors": [{ "message": "x103 is not a valid ID", "context": { "id": ["x103"] } }], "numErrors": 1 });
        let got = verdicts(&pairs, &body);
        assert_eq!((&got[0], &got[1]), (&Verdict::Done, &Verdict::Done));
        assert!(matches!(got[2], Verdict::Refused(_)));
        assert_eq!(verdicts(&pairs, &json!({ "results": [] })), vec![Verdict::Unanswered; 3]);
        assert_eq!(verdicts(&pairs, &Value::Null), vec![Verdict::Done; 3]);
    }
}
