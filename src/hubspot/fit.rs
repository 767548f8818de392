//! Fitting a value to its definition before it is sent. Pure.
//!
//! What HubSpot would certainly refuse is told apart from what it takes; where a definition says
//! nothing, the value goes as it is and HubSpot decides. No message or hint repeats a value.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::schema::{Choice, Property};

/// The longest text that a property holds, in characters.
const LONGEST: usize = 65_536;
/// The most options that a hint lists.
const LISTED: usize = 10;

/// What is to be sent of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitted {
    /// The value as it is.
    Keep,
    /// This instead; with a note where it says less than the value did.
    Changed(String, Option<Note>),
    /// Nothing: HubSpot would refuse it.
    Unfit(Note),
}

/// Why a value was altered or is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// HubSpot's word where it has one, such as `INVALID_OPTION`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
}

impl Note {
    fn new(code: &'static str, message: &str, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

/// Fits `value` to its definition. Empty text clears, which every writable property allows.
#[must_use]
pub fn fit(definition: &Property, value: &str) -> Fitted {
    if definition.read_only {
        let hint = "HubSpot computes this property: take it out of the mapping file";
        return Fitted::Unfit(Note::new("READ_ONLY_VALUE", "the property is read-only", hint));
    }
    if value.is_empty() {
        return Fitted::Keep;
    }
    match definition.property_type.as_str() {
        "number" => number(value),
        "bool" => boolean(&definition.options, value),
        "date" => date(value),
        "datetime" => datetime(value),
        "enumeration" if definition.field_type == "checkbox" => several(&definition.options, value),
        "enumeration" => one_of(&definition.options, value),
        "string" | "phone_number" => text(value),
        _ => Fitted::Keep,
    }
}

/// Fits `value` to one of `options`, by value or by label; without options everything fits.
#[must_use]
pub fn one_of(options: &[Choice], value: &str) -> Fitted {
    match choice(options, value) {
        _ if options.is_empty() => Fitted::Keep,
        Some(known) if known == value => Fitted::Keep,
        Some(known) => Fitted::Changed(known.to_owned(), None),
        None => Fitted::Unfit(stray("INVALID_OPTION", "none of the property's options", options)),
    }
}

/// A stage that its pipeline does not have.
#[must_use]
pub fn stray_stage(stages: &[Choice]) -> Note {
    stray("INVALID_PIPELINE_STAGE_ID", "no stage of its pipeline", stages)
}

/// Whether `to` stands before `from` in the order of the options.
#[must_use]
pub fn goes_back(options: &[Choice], from: &str, to: &str) -> bool {
    let place = |value: &str| {
        let known = choice(options, value)?;
        options.iter().position(|option| option.value == known)
    };
    matches!((place(from), place(to)), (Some(from), Some(to)) if to < from)
}

/// The internal value that `value` means: exactly, else the only one without regard to case.
fn choice<'a>(options: &'a [Choice], value: &str) -> Option<&'a str> {
    let wanted = value.trim();
    let lower = wanted.to_lowercase();
    let tests: [&dyn Fn(&Choice) -> bool; 4] = [
        &|option| option.value == wanted,
        &|option| option.label == wanted,
        &|option| option.value.to_lowercase() == lower,
        &|option| option.label.trim().to_lowercase() == lower,
    ];
    tests.iter().find_map(|test| {
        let mut found = options.iter().filter(|option| test(option));
        let first = found.next()?;
        found.next().is_none().then_some(first.value.as_str())
    })
}

/// Several options, separated by semicolons; one in front means that they are added.
fn several(options: &[Choice], value: &str) -> Fitted {
    if options.is_empty() || choice(options, value).is_some() {
        return one_of(options, value);
    }
    let parts: Vec<&str> = value.split(';').filter(|part| !part.trim().is_empty()).collect();
    let known: Vec<&str> = parts.iter().filter_map(|part| choice(options, part)).collect();
    let note = || stray("INVALID_OPTION", "some of it is none of the property's options", options);
    if known.is_empty() && !parts.is_empty() {
        return Fitted::Unfit(note());
    }
    let front = if value.starts_with(';') { ";" } else { "" };
    let sent = format!("{front}{}", known.join(";"));
    let note = (known.len() < parts.len()).then(note);
    if sent == value { Fitted::Keep } else { Fitted::Changed(sent, note) }
}

fn number(value: &str) -> Fitted {
    let trimmed = value.trim();
    let digits = trimmed.strip_prefix('-').unwrap_or(trimmed);
    let fits = digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.matches('.').count() <= 1
        && digits.contains(|c: char| c.is_ascii_digit());
    let hint = "send digits with at most one decimal point, or make it a text property in HubSpot";
    match (fits, trimmed == value) {
        (true, true) => Fitted::Keep,
        (true, false) => Fitted::Changed(trimmed.to_owned(), None),
        (false, _) => Fitted::Unfit(Note::new("INVALID_NUMBER", "not a number", hint)),
    }
}

fn boolean(options: &[Choice], value: &str) -> Fitted {
    let lower = value.trim().to_ascii_lowercase();
    let known = match lower.as_str() {
        "true" | "false" => Some(lower.as_str()),
        _ => choice(options, value),
    };
    match known {
        Some(known) if known == value => Fitted::Keep,
        Some(known) => Fitted::Changed(known.to_owned(), None),
        None => {
            let hint = "send true or false";
            Fitted::Unfit(Note::new("INVALID_BOOLEAN", "neither true nor false", hint))
        }
    }
}

fn date(value: &str) -> Fitted {
    let trimmed = value.trim();
    let day = NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").ok();
    let cut = day.map(|day| (day, false)).or_else(|| {
        let at = instant(trimmed)?;
        Some((at.date_naive(), at.time() != NaiveTime::MIN))
    });
    let Some((day, cut)) = cut else {
        let hint = "send the day as YYYY-MM-DD";
        return Fitted::Unfit(Note::new("INVALID_DATE", "not a date", hint));
    };
    let sent = day.to_string();
    let note = cut.then(|| {
        let hint = "send the day alone, or make it a date and time property in HubSpot";
        Note::new("TIME_CUT", "the property holds a day: the time of day (UTC) is cut", hint)
    });
    if sent == value { Fitted::Keep } else { Fitted::Changed(sent, note) }
}

fn datetime(value: &str) -> Fitted {
    let naive = || chrono::NaiveDateTime::parse_from_str(value, "%Y-%m-%dT%H:%M:%S%.f").is_ok();
    let day = || NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok();
    if instant(value).is_some() || naive() || day() {
        return Fitted::Keep;
    }
    let hint = "send an RFC 3339 time such as 2026-10-01T10:00:00Z";
    Fitted::Unfit(Note::new("INVALID_DATE", "not a date and time", hint))
}

/// RFC 3339, or milliseconds since 1970.
fn instant(value: &str) -> Option<DateTime<Utc>> {
    match value.parse::<i64>() {
        Ok(ms) => DateTime::from_timestamp_millis(ms),
        Err(_) => DateTime::parse_from_rfc3339(value).ok().map(|at| at.to_utc()),
    }
}

fn text(value: &str) -> Fitted {
    // Bytes are never fewer than characters.
    if value.len() <= LONGEST {
        return Fitted::Keep;
    }
    let Some((end, _)) = value.char_indices().nth(LONGEST) else { return Fitted::Keep };
    let message = format!("longer than {LONGEST} characters: the rest is cut");
    let note = Note::new("TRUNCATED", &message, "shorten it in the application");
    Fitted::Changed(value[..end].to_owned(), Some(note))
}

fn stray(code: &'static str, message: &str, options: &[Choice]) -> Note {
    let listed: Vec<&str> = options.iter().take(LISTED).map(|o| o.value.as_str()).collect();
    let more = options.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let hint = format!("use one of {}{more}, or add it in HubSpot and retry", listed.join(", "));
    Note::new(code, message, hint)
}

#[cfg(test)]
mod tests;
