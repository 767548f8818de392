//! Decodes HubSpot's error bodies leniently: every field is optional, and types vary.
//!
//! Values that are stored or logged are limited in length and free of control characters, because
//! Postgres accepts no NUL. The message is the exception: it is cleaned when it is stored.

use std::collections::BTreeMap;

use serde_json::Value;

/// The longest code, name or id that is stored, in characters.
const LONGEST_LABEL: usize = 200;

/// The start of the sentence about a unique value that is taken: `Cannot set
/// PropertyValueCoordinates{portalId=1, objectTypeId=0-3, propertyName=p, value=v} on 111. 222
/// already has that value.`
const TAKEN: &str = "Cannot set PropertyValueCoordinates{";

/// One fault inside an error body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// The code, such as `INVALID_EMAIL`.
    pub code: Option<String>,
    /// The property at fault.
    pub property: Option<String>,
    /// HubSpot's message.
    pub message: Option<String>,
}

/// A unique value that another record has already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The unique property.
    pub property: Option<String>,
    /// The id of the record that has the value.
    pub owner: Option<String>,
}

/// An error body, or one item of a 207's `errors`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// HubSpot's message.
    pub message: String,
    /// The status inside the body, 400 to 599, as a number or text.
    pub status: Option<u16>,
    /// The category, such as `VALIDATION_ERROR`.
    pub category: Option<String>,
    /// The subcategory, such as `crm.associations.INVALID_IDENTIFIER`.
    pub sub_category: Option<String>,
    /// The rate limit's name, such as `DAILY`.
    pub policy: Option<String>,
    /// The token endpoint's word for an invalid grant: its `status`, or else its `error`.
    pub oauth: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// Lists of texts by key. Single values and numbers become lists of texts.
    pub context: BTreeMap<String, Vec<String>>,
    /// The faults, from `errors` or from the JSON text inside `message`.
    pub details: Vec<Detail>,
    /// The id of the existing record, from whichever place has it.
    pub existing_id: Option<String>,
    /// A unique value is taken.
    pub taken: Option<Taken>,
    /// The body is an HTML page from a gateway.
    pub is_page: bool,
}

impl ErrorBody {
    /// Decodes `value`. Anything but an object gives an empty body with the text as its message.
    #[must_use]
    pub fn decode(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(scalar);
        let name = |key: &str| text(key).as_deref().and_then(label);
        let message = match value {
            Value::String(text) => text.clone(),
            _ => text("message").or_else(|| text("error_description")).unwrap_or_default(),
        };
        let mut context = value.get("context").map(lists).unwrap_or_default();
        // The v1 API uses another name for the same list.
        let errors = ["errors", "validationResults"].into_iter().find_map(|key| {
            value.get(key).and_then(Value::as_array).filter(|errors| !errors.is_empty())
        });
        for error in errors.into_iter().flatten() {
            for (key, values) in error.get("context").map(lists).unwrap_or_default() {
                context.entry(key).or_default().extend(values);
            }
        }
        let details = details(&message, errors.map(Vec::as_slice).unwrap_or_default());
        let taken = details
            .iter()
            .filter_map(|detail| detail.message.as_deref())
            .chain([message.as_str()])
            .find_map(taken);
        let existing_id = context
            .get("existingId")
            .and_then(|ids| ids.first().cloned())
            .or_else(|| {
                let profiles = ["/identityProfile/vid", "/identity-profile/vid"];
                let vid = profiles.into_iter().find_map(|at| value.pointer(at).and_then(scalar));
                vid.as_deref().and_then(label)
            })
            .or_else(|| id_after(&message, "Existing ID: "))
            .or_else(|| taken.as_ref().and_then(|taken| taken.owner.clone()));
        Self {
            status: text("status").and_then(|s| s.parse().ok()).filter(|s| (400..600).contains(s)),
            category: name("category"),
            sub_category: name("subCategory").or_else(|| {
                let nested = value.pointer("/subCategory/name").and_then(scalar);
                nested.as_deref().and_then(label)
            }),
            policy: name("policyName"),
            oauth: dead_grant(name("status"), name("error")),
            correlation_id: name("correlationId"),
            is_page: value.as_str().is_some_and(|text| text.trim_start().starts_with('<')),
            existing_id,
            context,
            details,
            taken,
            message,
        }
    }

    /// Returns the first fault that has a code.
    #[must_use]
    pub fn first(&self) -> Option<&Detail> {
        self.details.iter().find(|d| d.code.is_some()).or_else(|| self.details.first())
    }

    /// Whether the message begins with `sentence`. Only the beginning is checked, because later
    /// parts may be values that were sent.
    #[must_use]
    pub fn says(&self, sentence: &str) -> bool {
        self.message.trim_start().starts_with(sentence)
    }

    /// Whether the message alone says that the record exists: `Contact already exists`, for any
    /// object kind, with or without an id.
    #[must_use]
    pub fn exists_already(&self) -> bool {
        let (kind, rest) = self.message.trim_start().split_once(' ').unwrap_or_default();
        self.details.is_empty()
            && kind.chars().all(char::is_alphabetic)
            && rest.starts_with("already exists")
    }
}

/// Prepares a name, code or id for storage: removes control characters and limits the length.
/// Returns `None` if nothing is left.
#[must_use]
pub fn label(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_LABEL).collect();
    (!kept.is_empty()).then_some(kept)
}

/// Returns a string, or a number as a string.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn lists(value: &Value) -> BTreeMap<String, Vec<String>> {
    let Some(object) = value.as_object() else { return BTreeMap::new() };
    let text = |value: &Value| scalar(value).as_deref().and_then(label);
    object
        .iter()
        .map(|(key, value)| {
            let values = match value {
                Value::Array(values) => values.iter().filter_map(text).collect(),
                single => text(single).into_iter().collect(),
            };
            (key.clone(), values)
        })
        .collect()
}

/// Returns the word for a grant or app that no retry can fix. `invalid_request` alone is not one.
fn dead_grant(status: Option<String>, error: Option<String>) -> Option<String> {
    const STATUSES: [&str; 6] = [
        "BAD_REFRESH_TOKEN",
        "BAD_CLIENT_ID",
        "BAD_CLIENT_SECRET",
        "BAD_AUTH_CODE",
        "BAD_REDIRECT_URI",
        "EXPIRED_AUTH_CODE",
    ];
    const ERRORS: [&str; 3] = ["invalid_grant", "invalid_client", "unauthorized_client"];
    let status = status.filter(|word| STATUSES.contains(&word.as_str()));
    status.or_else(|| error.filter(|word| ERRORS.contains(&word.as_str())))
}

/// Returns the faults with codes in `errors`, or else those inside the message.
fn details(message: &str, errors: &[Value]) -> Vec<Detail> {
    let listed: Vec<Detail> = errors.iter().map(detail).collect();
    if listed.iter().any(|d| d.code.is_some()) {
        return listed;
    }
    embedded(message).or_else(|| unknown_property(message)).unwrap_or(listed)
}

fn detail(error: &Value) -> Detail {
    let text = |key: &str| error.get(key).and_then(scalar);
    let name = |key: &str| text(key).as_deref().and_then(label);
    let property =
        error.get("context").map(lists).and_then(|c| c.get("propertyName")?.first().cloned());
    Detail {
        code: name("code").or_else(|| name("error")),
        property: property.or_else(|| name("name")),
        message: text("message").or_else(|| error.as_str().map(str::to_owned)),
    }
}

/// Returns the faults given as JSON text inside a message: `Property values were not valid: [{…}]`.
fn embedded(message: &str) -> Option<Vec<Detail>> {
    let list = message.trim().strip_prefix("Property values were not valid:")?;
    let list = list.get(list.find('[')?..=list.rfind(']')?)?;
    let items: Vec<Value> = serde_json::from_str(list).ok()?;
    (!items.is_empty()).then(|| items.iter().map(detail).collect())
}

/// Reads `'name' Property does not exist`. In recorded items without a code, this is the whole
/// message.
fn unknown_property(message: &str) -> Option<Vec<Detail>> {
    let name = message
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix("' Property does not exist"))
        .or_else(|| message.strip_prefix("Property \"")?.strip_suffix("\" does not exist"))?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let fault = Detail {
        code: Some("PROPERTY_DOESNT_EXIST".to_owned()),
        property: label(name),
        message: Some(message.to_owned()),
    };
    plain.then(|| vec![fault])
}

/// Returns the digits that follow `marker`.
fn id_after(message: &str, marker: &str) -> Option<String> {
    let rest = &message[message.find(marker)? + marker.len()..];
    let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
    label(&id)
}

/// Returns the property and the second id of `… on 111. 222 already has that value.`
fn taken(message: &str) -> Option<Taken> {
    let rest = message.trim_start().strip_prefix(TAKEN)?;
    let before = &rest[..rest.rfind(" already has that value")?];
    let owner = before.rsplit(' ').next().filter(|id| id.chars().all(|c| c.is_ascii_digit()));
    let property = rest.split_once("propertyName=").and_then(|(_, rest)| rest.split(',').next());
    Some(Taken { property: property.and_then(label), owner: owner.and_then(label) })
}
