//! The simulator's own clock.
//!
//! It represents the clock of a server outside our control, so it is read here instead of passed
//! in. Nothing outside the sandbox uses it.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// The creation time of everything built in.
pub(crate) const EPOCH: &str = "1970-01-01T00:00:00Z";

/// The time on the simulated server.
#[expect(clippy::disallowed_methods, reason = "the simulated server keeps its own time")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The format of every time in a reply: milliseconds and a `Z`.
pub(crate) fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Returns the account's calendar day, by which the daily limit resets.
pub(crate) fn day(at: DateTime<Utc>, zone: &str) -> NaiveDate {
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
    at.with_timezone(&zone).date_naive()
}

/// Returns the account's offset from UTC at this moment.
pub(crate) fn offset(at: DateTime<Utc>, zone: &str) -> TimeDelta {
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
    at.with_timezone(&zone).naive_local() - at.naive_utc()
}

/// When the account's next day begins.
pub(crate) fn next_midnight(at: DateTime<Utc>, zone: &str) -> DateTime<Utc> {
    let local = at + offset(at, zone);
    let midnight = local.date_naive().and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1);
    midnight - offset(midnight, zone)
}
