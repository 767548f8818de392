//! Searches records with an index that lags behind the writes.
//!
//! It supports the filters that a push integration needs, but neither sorting nor full text search.

use serde_json::Value;

use crate::account::state::State;
use crate::account::store::Record;
use crate::api::record_view::read_view;
use crate::clock;
use crate::kinds::Kind;
use crate::wire::body;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

/// The most results on a page.
const PAGE_LIMIT: usize = 200;

/// `POST search`.
pub(crate) fn answer(state: &State, call: &Call, kind: Kind) -> Answer {
    let body = call.json()?;
    let limit = body["limit"].as_u64().map_or(10, |n| usize::try_from(n).unwrap_or(usize::MAX));
    if limit > PAGE_LIMIT {
        return Err(Refusal::validation(format!("limit must not be greater than {PAGE_LIMIT}")));
    }
    let groups = body["filterGroups"].as_array().map_or(&[][..], Vec::as_slice);
    for filter in groups.iter().flat_map(filters) {
        let name = filter["propertyName"].as_str().unwrap_or_default();
        if state.store(kind).schema.live(name).is_none() {
            let message = format!("There was a problem with the request: no property {name}");
            return Err(Refusal::validation(message));
        }
    }
    let horizon =
        clock::now().timestamp_millis() - i64::try_from(state.faults.search_delay_ms).unwrap_or(0);
    let found: Vec<u64> = state
        .store(kind)
        .records
        .values()
        .filter(|r| r.archived_at.is_none() && r.updated_at.timestamp_millis() <= horizon)
        .filter(|r| {
            groups.is_empty() || groups.iter().any(|g| filters(g).iter().all(|f| holds(f, r)))
        })
        .map(|r| r.id)
        .collect();
    let names: Vec<String> = body["properties"]
        .as_array()
        .map(|names| names.iter().filter_map(body::text).collect())
        .unwrap_or_default();
    let start = body::text(&body["after"]).and_then(|a| a.parse().ok()).unwrap_or(0);
    let results: Vec<Value> = found
        .iter()
        .skip(start)
        .take(limit)
        .map(|id| read_view(state, kind, *id, &names))
        .collect();
    let next = start + results.len();
    let mut reply = serde_json::json!({"total": found.len(), "results": results});
    if next < found.len() {
        reply["paging"] = serde_json::json!({"next": {"after": next.to_string()}});
    }
    Ok(Reply::json(200, reply))
}

fn filters(group: &Value) -> &[Value] {
    group["filters"].as_array().map_or(&[], Vec::as_slice)
}

fn holds(filter: &Value, record: &Record) -> bool {
    let name = filter["propertyName"].as_str().unwrap_or_default();
    let wanted = body::text(&filter["value"]).unwrap_or_default().to_lowercase();
    let value = record.properties.get(name).map(|v| v.to_lowercase());
    let is_among = |v: &String| {
        let values = filter["values"].as_array().map_or(&[][..], Vec::as_slice);
        values.iter().filter_map(body::text).any(|w| w.to_lowercase() == *v)
    };
    match filter["operator"].as_str().unwrap_or("EQ") {
        "EQ" => value.is_some_and(|v| v == wanted),
        "NEQ" => value.is_some_and(|v| v != wanted),
        "IN" => value.is_some_and(|v| is_among(&v)),
        "NOT_IN" => value.is_some_and(|v| !is_among(&v)),
        "HAS_PROPERTY" => value.is_some(),
        "NOT_HAS_PROPERTY" => value.is_none(),
        "CONTAINS_TOKEN" => value.is_some_and(|v| v.contains(wanted.trim_matches('*'))),
        _ => false,
    }
}
