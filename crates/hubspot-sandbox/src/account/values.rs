//! Checks whether a value fits its property, and returns the form in which it is stored.
//!
//! Only rules for single values are here. Rules that need the record or other records are in
//! `write`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use crate::account::schema::Property;
use crate::clock::iso;
use crate::kinds::Version;
use crate::wire::reply::PropertyFault;

/// The longest text of a property.
const TEXT_LIMIT: usize = 65_536;

/// A value that was stored in another form than it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Warning {
    pub(crate) name: String,
    pub(crate) raw: String,
    pub(crate) normalized: String,
}

/// Checks one value. Returns what to store, which for a checkbox list may still begin with the `;`
/// that means "append".
pub(crate) fn check(
    property: &Property,
    version: Version,
    raw: &str,
) -> Result<(String, Option<Warning>), PropertyFault> {
    let fault =
        |code, message: String| PropertyFault { name: property.name.clone(), code, message };
    if property.modification_metadata.read_only_value {
        let message =
            format!("\"{}\" is a read only property; its value cannot be set.", property.name);
        return Err(fault("READ_ONLY_VALUE", message));
    }
    if raw.is_empty() {
        return Ok((String::new(), None));
    }
    if raw.chars().count() > TEXT_LIMIT {
        let message = format!("{} is longer than {TEXT_LIMIT} characters", property.name);
        return Err(fault("PROPERTY_VALUE_TOO_LONG", message));
    }
    match property.value_type.as_str() {
        "number" if !is_number(raw) => {
            Err(fault("INVALID_INTEGER", format!("{raw} was not a valid number")))
        }
        "enumeration" if property.external_options => Ok((raw.to_owned(), None)),
        // HubSpot lists no options for boolean properties that it maintains itself.
        "bool" if property.options.is_empty() && matches!(raw, "true" | "false") => {
            Ok((raw.to_owned(), None))
        }
        "bool" | "enumeration" => match stray_option(property, raw) {
            None => Ok((raw.to_owned(), None)),
            Some(stray) => {
                let allowed: Vec<&str> =
                    property.options.iter().map(|o| o.value.as_str()).collect();
                let allowed = allowed.join(", ");
                let message = format!("{stray} was not one of the allowed options: [{allowed}]");
                Err(fault("INVALID_OPTION", message))
            }
        },
        "date" => date(raw, version).map_err(|text| fault("INVALID_DATE", text)).map(|day| {
            let (value, changed) = day;
            let warning = changed.then(|| Warning {
                name: property.name.clone(),
                raw: raw.to_owned(),
                normalized: value.clone(),
            });
            (value, warning)
        }),
        "datetime" => instant(raw)
            .map(|at| (iso(at), None))
            .ok_or_else(|| fault("INVALID_DATE", format!("{raw} was not a valid date"))),
        _ => Ok((raw.to_owned(), None)),
    }
}

/// Whether the text looks like an e-mail address.
pub(crate) fn is_email(raw: &str) -> bool {
    let Some((local, domain)) = raw.split_once('@') else { return false };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@,;<>()[]\\\"".contains(c);
    !local.is_empty()
        && local.chars().all(plain)
        && domain.chars().all(plain)
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
}

/// Returns the value that is not one of the options, if there is one.
fn stray_option<'a>(property: &Property, raw: &'a str) -> Option<&'a str> {
    let known = |value: &str| property.options.iter().any(|o| o.value == value);
    if property.field_type == "checkbox" {
        return raw.split(';').filter(|v| !v.is_empty()).find(|v| !known(v));
    }
    (!known(raw)).then_some(raw)
}

/// Whether the text has only digits, at most one decimal point, and an optional sign in front.
fn is_number(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.chars().filter(|c| *c == '.').count() <= 1
        && digits.chars().any(|c| c.is_ascii_digit())
}

/// Returns a day, and whether a time of day was cut off, which only 2026-09 does.
fn date(raw: &str, version: Version) -> Result<(String, bool), String> {
    if let Ok(day) = NaiveDate::parse_from_str(raw, "%Y-%m-%d") {
        return Ok((day.to_string(), false));
    }
    let at = instant(raw).ok_or_else(|| format!("{raw} was not a valid date"))?;
    let day = at.date_naive();
    let midnight = at.time() == chrono::NaiveTime::MIN;
    if !midnight && !version.is_current() {
        return Err(format!("{raw} is at {} UTC, not midnight!", at.time()));
    }
    Ok((day.to_string(), !midnight))
}

/// Parses ISO-8601, or milliseconds since 1970.
fn instant(raw: &str) -> Option<DateTime<Utc>> {
    if let Ok(ms) = raw.parse::<i64>() {
        return DateTime::from_timestamp_millis(ms);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(raw) {
        return Some(at.with_timezone(&Utc));
    }
    if let Ok(at) = NaiveDateTime::parse_from_str(raw, "%Y-%m-%dT%H:%M:%S%.f") {
        return Some(at.and_utc());
    }
    let day = NaiveDate::parse_from_str(raw, "%Y-%m-%d").ok()?;
    Some(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        assert!(is_email("ann.b+c@example.co.uk"));
        for bad in ["nope", "ann@@example.com", "@example.com", "a@b", "a b@example.com", "a@b..c"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn numbers_have_one_point_at_most() {
        assert!(is_number("1234.50") && is_number("-3"));
        assert!(!is_number("1,5") && !is_number("1.2.3") && !is_number(".") && !is_number("1e5"));
    }

    #[test]
    fn a_time_of_day_in_a_date_is_cut_by_the_newest_version_only() {
        assert_eq!(
            date("2026-10-01T10:00:00Z", Version::September),
            Ok(("2026-10-01".into(), true))
        );
        assert!(date("2026-10-01T10:00:00Z", Version::Old).is_err());
        assert_eq!(date("1790812800000", Version::Old), Ok(("2026-10-01".into(), false)));
    }
}
