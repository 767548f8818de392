//! Dates and instants, in the two forms that HubSpot accepts without a warning.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};

use super::Invalid;

/// The years that are accepted. A year outside this range is most likely a typing error.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=9999;

/// Returns a day, `2026-10-01`. For an instant, it is the day that the sender wrote.
pub(super) fn date(text: &str) -> Result<String, Invalid> {
    let written = || instant(text).and_then(|_| day(text.get(..10)?));
    let day = day(text).or_else(written);
    match day {
        Some(day) => Ok(day.format("%Y-%m-%d").to_string()),
        None => Err(Invalid::new("invalid_date", "must be a date, such as 2026-10-01")),
    }
}

/// Returns an instant in UTC with milliseconds. A day stays a day, because the account's time zone
/// decides when it begins.
pub(super) fn datetime(text: &str) -> Result<String, Invalid> {
    let instant = instant(text).map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
    match instant.or_else(|| day(text).map(|day| day.to_string())) {
        Some(time) => Ok(time),
        None => {
            let reason = "must be RFC 3339, such as 2026-10-01T08:30:00Z, or a date";
            Err(Invalid::new("invalid_datetime", reason))
        }
    }
}

/// Parses `YYYY-MM-DD` only.
fn day(text: &str) -> Option<NaiveDate> {
    let padded = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (padded && YEARS.contains(&day.year())).then_some(day)
}

/// Parses RFC 3339 to whole milliseconds. A leap second becomes the second after it.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let sent = DateTime::parse_from_rfc3339(text).ok()?;
    let instant = DateTime::from_timestamp_millis(sent.timestamp_millis())?;
    YEARS.contains(&instant.year()).then_some(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (sent, kept) in [
            ("2025-01-31", "2025-01-31"),
            ("2024-02-29", "2024-02-29"),
            ("2025-01-31T23:30:00-02:00", "2025-01-31"),
            ("2025-01-31T00:00:00+01:00", "2025-01-31"),
        ] {
            assert_eq!(date(sent).as_deref(), Ok(kept), "{sent}");
        }
        for text in ["2025-02-29", "31/01/2025", "2025-1-31", "20250131", "0001-01-01", "soon"] {
            assert_eq!(date(text).unwrap_err().code, "invalid_date", "{text}");
        }
    }

    #[test]
    fn instants() {
        for (sent, kept) in [
            ("2024-12-08T08:29:51Z", "2024-12-08T08:29:51.000Z"),
            ("2024-12-08T09:29:51.1239+01:00", "2024-12-08T08:29:51.123Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
            ("2025-01-31", "2025-01-31"),
        ] {
            assert_eq!(datetime(sent).as_deref(), Ok(kept), "{sent}");
        }
        for text in ["2024-12-08T08:29:51", "9999-12-31T23:59:59-23:59", "1733646591", "now"] {
            assert_eq!(datetime(text).unwrap_err().code, "invalid_datetime", "{text}");
        }
    }
}
