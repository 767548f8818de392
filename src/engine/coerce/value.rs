//! Coerces a value to its property definition before it is sent.
//!
//! This module rejects only values that HubSpot would certainly refuse. If a definition does not
//! decide, the value is sent as it is and HubSpot decides. Messages and hints never repeat a value.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;

use crate::hubspot::definitions::{Choice, Property};
use crate::mapping::truth;

use crate::engine::coerce::choice::{choice, one_of, several};
use crate::engine::coerce::outcome::{Note, Value, stray};

/// The longest text that a property can hold, in characters.
pub(crate) const LONGEST: usize = 65_536;
/// Coerces `value` to its definition. `zone` is the account's time zone, which determines its days.
/// Empty text clears the property; every writable property allows that.
#[must_use]
pub fn coerce(definition: &Property, value: &str, zone: Tz) -> Value {
    if definition.read_only {
        let hint = "HubSpot computes this property: take it out of the mapping file";
        return Value::Invalid(Note::new("READ_ONLY_VALUE", "the property is read-only", hint));
    }
    if value.is_empty() {
        return Value::Unchanged;
    }
    match definition.property_type.as_str() {
        "number" => number(value),
        "bool" => boolean(&definition.options, value),
        "date" => date(value, zone),
        "datetime" => datetime(value, zone),
        "enumeration" if definition.field_type == "booleancheckbox" => {
            boolean(&definition.options, value)
        }
        "enumeration" if definition.field_type == "checkbox" => several(&definition.options, value),
        "enumeration" => one_of(&definition.options, value),
        "string" | "phone_number" => text(value),
        _ => Value::Unchanged,
    }
}

/// The note for a stage that its pipeline does not have.
#[must_use]
pub fn stray_stage(stages: &[Choice]) -> Note {
    stray("INVALID_PIPELINE_STAGE_ID", "no stage of its pipeline", stages)
}

fn number(value: &str) -> Value {
    let trimmed = value.trim();
    let digits = trimmed.strip_prefix('-').unwrap_or(trimmed);
    let fits = digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.matches('.').count() <= 1
        && digits.contains(|c: char| c.is_ascii_digit());
    let hint = "send digits with at most one decimal point, or make it a text property in HubSpot";
    match (fits, trimmed == value) {
        (true, true) => Value::Unchanged,
        (true, false) => Value::Changed(trimmed.to_owned(), None),
        (false, _) => Value::Invalid(Note::new("INVALID_NUMBER", "not a number", hint)),
    }
}

/// Coerces to true or false, or to an option with that meaning if the property has its own options.
fn boolean(options: &[Choice], value: &str) -> Value {
    let word = truth(value).map(|truth| truth.to_string());
    let known = choice(options, value).map(str::to_owned).or_else(|| {
        let known = |word: &String| options.is_empty() || options.iter().any(|o| o.value == *word);
        word.filter(known)
    });
    match known {
        Some(known) if known == value => Value::Unchanged,
        Some(known) => Value::Changed(known, None),
        None => {
            let hint = "send true or false";
            Value::Invalid(Note::new("INVALID_BOOLEAN", "neither true nor false", hint))
        }
    }
}

/// Coerces to a day. HubSpot itself writes a day as midnight in UTC. Any other instant is converted
/// to a day in the account's zone.
fn date(value: &str, zone: Tz) -> Value {
    let trimmed = value.trim();
    let found = day(trimmed).map(|day| (day, false)).or_else(|| {
        let at = instant(trimmed)?;
        if at.time() == NaiveTime::MIN {
            return Some((at.date_naive(), false));
        }
        let there = at.with_timezone(&zone);
        Some((there.date_naive(), there.time() != NaiveTime::MIN))
    });
    let Some((day, cut)) = found else {
        let hint = "send the day as YYYY-MM-DD";
        return Value::Invalid(Note::new("INVALID_DATE", "not a date", hint));
    };
    let sent = day.to_string();
    let note = cut.then(|| {
        let hint = "send the day alone, or make it a date and time property in HubSpot";
        Note::new("TIME_CUT", "the property holds a day: the time of day is cut", hint)
    });
    if sent == value { Value::Unchanged } else { Value::Changed(sent, note) }
}

/// Coerces to an instant. A day becomes its first moment in the account's zone, so that people see
/// that day.
fn datetime(value: &str, zone: Tz) -> Value {
    let trimmed = value.trim();
    let naive = || chrono::NaiveDateTime::parse_from_str(trimmed, "%Y-%m-%dT%H:%M:%S%.f").is_ok();
    if instant(trimmed).is_some() || naive() {
        return if trimmed == value {
            Value::Unchanged
        } else {
            Value::Changed(trimmed.into(), None)
        };
    }
    if let Some(start) = day(trimmed).and_then(|day| start_of(day, zone)) {
        let sent = start.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true);
        return Value::Changed(sent, None);
    }
    let hint = "send an RFC 3339 time such as 2026-10-01T10:00:00Z";
    Value::Invalid(Note::new("INVALID_DATE", "not a date and time", hint))
}

/// The first moment of `day`. This is not midnight if clocks move forward at midnight.
fn start_of(day: NaiveDate, zone: Tz) -> Option<DateTime<Tz>> {
    let hours = (0..4).filter_map(|hour| day.and_hms_opt(hour, 0, 0));
    hours.into_iter().find_map(|at| zone.from_local_datetime(&at).earliest())
}

fn day(value: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?;
    (1000..=9999).contains(&day.year()).then_some(day)
}

/// Parses RFC 3339, or milliseconds since 1970 with twelve or thirteen digits (1973 to 2286). Fewer
/// digits are refused, because they may be seconds, a year, or a day without its hyphens.
fn instant(value: &str) -> Option<DateTime<Utc>> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if (12..=13).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return DateTime::from_timestamp_millis(value.parse().ok()?);
    }
    DateTime::parse_from_rfc3339(value).ok().map(|at| at.to_utc())
}

fn text(value: &str) -> Value {
    // A text never has fewer bytes than characters, so a short one needs no counting.
    if value.len() <= LONGEST {
        return Value::Unchanged;
    }
    let Some((end, _)) = value.char_indices().nth(LONGEST) else { return Value::Unchanged };
    let message = format!("longer than {LONGEST} characters: the rest is cut");
    let note = Note::new("TRUNCATED", &message, "shorten it in the application");
    Value::Changed(value[..end].to_owned(), Some(note))
}
