//! An API call that was read completely.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::{Value, json};

use crate::wire::reply::Refusal;

/// A call, whose body may or may not be JSON.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Repeated keys are joined with commas.
    pub(crate) query: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) json: Result<Value, Refusal>,
}

impl Call {
    pub(crate) fn new(
        method: Method,
        path: &str,
        query: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Self {
        let mut joined: HashMap<String, String> = HashMap::new();
        for (key, value) in query {
            joined
                .entry(key)
                .and_modify(|v| {
                    v.push(',');
                    v.push_str(&value);
                })
                .or_insert(value);
        }
        let json = parse(&body);
        Self { method, path: path.to_owned(), query: joined, body, json }
    }

    pub(crate) fn json(&self) -> Result<&Value, Refusal> {
        self.json.as_ref().map_err(Clone::clone)
    }

    /// Returns a comma-separated list in the query.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        let value = self.query.get(key).map_or("", String::as_str);
        value.split(',').filter(|v| !v.is_empty()).map(str::to_owned).collect()
    }

    /// Returns one page of results, with the `paging` for the next one.
    pub(crate) fn page(&self, results: Vec<Value>, default_limit: usize) -> Value {
        let number = |key: &str| self.query.get(key).and_then(|v| v.parse::<usize>().ok());
        let start = number("after").unwrap_or(0).min(results.len());
        let end = results
            .len()
            .min(start.saturating_add(number("limit").unwrap_or(default_limit).max(1)));
        let mut body = json!({"results": results[start..end]});
        if end < results.len() {
            body["paging"] = json!({"next": {"after": end.to_string()}});
        }
        body
    }
}

/// Parses a body as JSON.
fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let message = "Invalid JSON input: a request body was expected, but none found";
        return Err(Refusal::validation(message));
    }
    serde_json::from_slice(bytes).map_err(|e| {
        let place = format!("line {}, column {}", e.line(), e.column());
        Refusal::plain(400, format!("Invalid input JSON on {place}: Unexpected character"))
    })
}
