//! HubSpot's error bodies, decoded leniently: every field is optional, and types vary.

use std::collections::BTreeMap;

use serde_json::Value;

/// A fault inside an error body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// Such as `INVALID_EMAIL`.
    pub code: Option<String>,
    /// The property at fault.
    pub property: Option<String>,
    /// What HubSpot says.
    pub message: Option<String>,
}

/// An error body, or one item of a 207's `errors`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// What HubSpot says.
    pub message: String,
    /// Such as `VALIDATION_ERROR`.
    pub category: Option<String>,
    /// Such as `crm.associations.INVALID_IDENTIFIER`.
    pub sub_category: Option<String>,
    /// Such as `DAILY`.
    pub policy: Option<String>,
    /// OAuth's words: `error` or `status` of a token reply.
    pub oauth: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// Lists of strings by key; single values and numbers are taken as lists of strings.
    pub context: BTreeMap<String, Vec<String>>,
    /// The faults, from `errors` or from the JSON text inside `message`.
    pub details: Vec<Detail>,
    /// The existing record's id, wherever it stands.
    pub existing_id: Option<String>,
}

impl ErrorBody {
    /// Decodes `value`; what is not an object gives an empty body with the text as its message.
    #[must_use]
    pub fn decode(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(scalar);
        let message = match value {
            Value::String(text) => text.clone(),
            _ => text("message").or_else(|| text("error_description")).unwrap_or_default(),
        };
        let mut context = value.get("context").map(lists).unwrap_or_default();
        let errors = value.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        for error in &errors {
            for (key, values) in error.get("context").map(lists).unwrap_or_default() {
                context.entry(key).or_default().extend(values);
            }
        }
        let mut details: Vec<Detail> = errors.iter().map(detail).collect();
        if !details.iter().any(|d| d.code.is_some()) {
            details = embedded(&message).unwrap_or(details);
        }
        let status_word = text("status")
            .filter(|s| s.contains('_') && s.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        let existing_id = context
            .get("existingId")
            .and_then(|ids| ids.first().cloned())
            .or_else(|| value.pointer("/identityProfile/vid").and_then(scalar))
            .or_else(|| id_after(&message, "Existing ID: "));
        Self {
            category: text("category"),
            sub_category: text("subCategory")
                .or_else(|| value.pointer("/subCategory/name").and_then(scalar)),
            policy: text("policyName"),
            oauth: status_word.or_else(|| text("error")),
            correlation_id: text("correlationId"),
            existing_id,
            context,
            details,
            message,
        }
    }

    /// The first fault that names a code.
    #[must_use]
    pub fn first(&self) -> Option<&Detail> {
        self.details.iter().find(|d| d.code.is_some()).or_else(|| self.details.first())
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn lists(value: &Value) -> BTreeMap<String, Vec<String>> {
    let Some(object) = value.as_object() else { return BTreeMap::new() };
    object
        .iter()
        .map(|(key, value)| {
            let values = match value {
                Value::Array(values) => values.iter().filter_map(scalar).collect(),
                single => scalar(single).into_iter().collect(),
            };
            (key.clone(), values)
        })
        .collect()
}

fn detail(error: &Value) -> Detail {
    let text = |key: &str| error.get(key).and_then(scalar);
    let property =
        error.get("context").map(lists).and_then(|c| c.get("propertyName")?.first().cloned());
    Detail {
        code: text("code"),
        property: property.or_else(|| text("name")),
        message: text("message"),
    }
}

/// The faults that stand as JSON text inside a message: `Property values were not valid: [{…}]`.
fn embedded(message: &str) -> Option<Vec<Detail>> {
    let start = message.find("[{")?;
    let end = message.rfind("}]")? + 2;
    let items: Vec<Value> = serde_json::from_str(message.get(start..end)?).ok()?;
    let text = |item: &Value, key: &str| item.get(key).and_then(scalar);
    Some(
        items
            .iter()
            .map(|item| Detail {
                code: text(item, "error"),
                property: text(item, "name"),
                message: text(item, "message"),
            })
            .collect(),
    )
}

/// The digits that follow `marker`.
fn id_after(message: &str, marker: &str) -> Option<String> {
    let rest = &message[message.find(marker)? + marker.len()..];
    let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!id.is_empty()).then_some(id)
}

/// The record that holds a unique value: the second id of `… on 111. 222 already has that value.`
#[must_use]
pub fn owner_of_value(message: &str) -> Option<String> {
    let before = &message[..message.find(" already has that value")?];
    let id = before.rsplit(' ').next()?;
    (!id.is_empty() && id.chars().all(|c| c.is_ascii_digit())).then(|| id.to_owned())
}
