//! Reads request bodies as the real server's JSON library does.
//!
//! Property values are texts. Plain numbers and booleans are accepted as texts too. An array or
//! object refuses the whole request before anything else is checked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::wire::call::Call;
use crate::wire::reply::Refusal;

/// One input of a batch of records.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) id: String,
    pub(crate) id_property: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) associations: Vec<Value>,
    pub(crate) raw: Value,
}

/// Returns a text, or a number or boolean as text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Returns the `inputs` of a batch, at most `limit`.
pub(crate) fn inputs(call: &Call, limit: usize) -> Result<&[Value], Refusal> {
    let body = call.json()?;
    let inputs = match &body["inputs"] {
        Value::Array(inputs) => inputs.as_slice(),
        Value::Null => &[],
        _ => {
            return Err(Refusal::plain(
                400,
                "Invalid input JSON on line 1, column 11: Cannot deserialize value of type \
                 `java.util.ArrayList` from this value",
            ));
        }
    };
    if inputs.len() > limit {
        return Err(Refusal::validation(format!(
            "The maximum number of inputs supported in a batch is {limit}. \
             Please reduce the number of items and try again"
        )));
    }
    Ok(inputs)
}

/// Returns the `properties` of a body or an input.
pub(crate) fn properties(call: &Call, of: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(map) = of["properties"].as_object() else {
        return Err(Refusal::plain(
            400,
            "Invalid input JSON on line 1, column 1: some of required attributes are not set \
             [properties]",
        ));
    };
    let mut properties = BTreeMap::new();
    for (name, value) in map {
        let text = match value {
            Value::Null => String::new(),
            _ => text(value).ok_or_else(|| nested_value(call, name, value))?,
        };
        properties.insert(name.clone(), text);
    }
    Ok(properties)
}

/// Returns the inputs of a batch write. With `with_id`, each must name its record.
pub(crate) fn records(call: &Call, limit: usize, with_id: bool) -> Result<Vec<Input>, Refusal> {
    let each = inputs(call, limit)?.iter().map(|raw| {
        let id = text(&raw["id"]);
        if with_id && id.is_none() {
            return Err(Refusal::plain(
                400,
                "Invalid input JSON on line 1, column 12: some of required attributes are not \
                 set [id]",
            ));
        }
        Ok(Input {
            id: id.unwrap_or_default(),
            id_property: raw["idProperty"].as_str().map(str::to_owned),
            trace_id: text(&raw["objectWriteTraceId"]),
            properties: properties(call, raw)?,
            associations: raw["associations"].as_array().cloned().unwrap_or_default(),
            raw: raw.clone(),
        })
    });
    each.collect()
}

fn nested_value(call: &Call, name: &str, value: &Value) -> Refusal {
    let (word, token, sign) = match value {
        Value::Array(_) => ("Array", "START_ARRAY", '['),
        _ => ("Object", "START_OBJECT", '{'),
    };
    let column = column_of(&String::from_utf8_lossy(&call.body), name, sign);
    Refusal::plain(
        400,
        format!(
            "Invalid input JSON on line 1, column {column}: Cannot deserialize value of type \
             `java.lang.String` from {word} value (token `JsonToken.{token}`)"
        ),
    )
}

/// Returns where the value of a property begins, counted from 1.
fn column_of(body: &str, name: &str, sign: char) -> usize {
    let key = format!("\"{name}\"");
    let found = body.match_indices(&key).find_map(|(at, _)| {
        let rest = body.get(at + key.len()..)?;
        let skipped = rest.len() - rest.trim_start_matches([' ', ':', '\n']).len();
        rest.get(skipped..)?.starts_with(sign).then_some(at + key.len() + skipped + 1)
    });
    found.unwrap_or(1)
}
