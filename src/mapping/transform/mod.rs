//! A transform turns one JSON value into the text that HubSpot expects, or says what the value must
//! be.
//!
//! A new transform needs an arm here, a name in the grammar, a function, and rows in a test. No
//! message of a transform repeats the value, because messages appear in answers, rows and logs.

mod address;
mod name;
mod number;
mod phone;
mod pick;
mod place;
mod text;
mod time;

use serde_json::{Map, Value};

pub(crate) use number::DecimalRule;
pub use number::truth;
pub(crate) use phone::PhoneRule;
pub(crate) use pick::{OnUnknown, Options, PickRule};
pub use place::country_code;
pub(crate) use place::region;
pub(crate) use text::trim;

/// Why a value cannot be transformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// A stable snake_case code.
    pub(crate) code: &'static str,
    /// What the value must be, as `must be …`.
    pub(crate) reason: String,
}

impl Invalid {
    pub(crate) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn wrong_type(wanted: &str) -> Self {
        Self::new("wrong_type", format!("must be {wanted}"))
    }
}

/// What a valid value becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Set this text. An empty text clears the property.
    Set(String),
    /// Leave the property alone, without a warning.
    Leave,
}

/// A compiled transform with its arguments.
#[derive(Debug, Clone)]
pub(crate) enum Transform {
    Text,
    Multiline,
    Lower,
    Name,
    Html,
    Email,
    Phone(PhoneRule),
    Url,
    Domain,
    Country,
    CountryCode,
    Decimal(DecimalRule),
    Integer,
    Currency,
    Boolean,
    Date,
    Datetime,
    Pick(PickRule),
}

impl Transform {
    /// Transforms `value`, which is never null. `data` is the whole event data, for transforms that
    /// read further values.
    pub(crate) fn apply(
        &self,
        value: &Value,
        data: &Map<String, Value>,
    ) -> Result<Outcome, Invalid> {
        if value.as_str().is_some_and(|text| text::trim(text).is_empty()) {
            return Ok(Outcome::Set(String::new()));
        }
        let text = match self {
            Self::Text => text::list(value)?,
            Self::Multiline => text::multiline(&text::of(value)?),
            Self::Lower => text::line(&text::of(value)?).to_lowercase(),
            Self::Name => name::name(&text::line(&text::of(value)?)),
            Self::Html => text::html(&text::multiline(&text::of(value)?)),
            Self::Email => address::email(text::only(value)?)?,
            Self::Phone(rule) => rule.apply(value, data)?,
            Self::Url => address::url(text::only(value)?)?,
            Self::Domain => address::domain(text::only(value)?)?,
            Self::Country => place::name(text::only(value)?)?,
            Self::CountryCode => place::code(text::only(value)?)?,
            Self::Decimal(rule) => rule.apply(value, data)?,
            Self::Integer => number::integer(value)?,
            Self::Currency => number::currency(text::only(value)?)?,
            Self::Boolean => number::boolean(value)?,
            Self::Date => time::date(text::only(value)?)?,
            Self::Datetime => time::datetime(text::only(value)?)?,
            Self::Pick(rule) => return rule.apply(text::only(value)?),
        };
        Ok(Outcome::Set(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blank_text_clears_and_a_wrong_type_is_named() {
        let data = Map::new();
        assert_eq!(Transform::Email.apply(&json!("  "), &data), Ok(Outcome::Set(String::new())));
        let decimal = Transform::Decimal(DecimalRule::default());
        for transform in [Transform::Lower, Transform::Email, Transform::Date, decimal] {
            for value in [json!({}), json!([]), json!(true)] {
                assert_eq!(transform.apply(&value, &data).unwrap_err().code, "wrong_type");
            }
        }
    }
}
