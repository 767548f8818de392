//! Computes the account's day: the daily quota ends at midnight in the account's time zone. Pure.
//!
//! Postgres does not compute it, because HubSpot uses zone names such as `US/Eastern` that newer
//! systems no longer have. A reservation must not fail because of that.

use chrono::{DateTime, LocalResult, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Returns start and end of the day of `now` in the time zone with this IANA name. An unknown name
/// means UTC.
pub(in crate::queue) fn day_of(now: DateTime<Utc>, zone: &str) -> (DateTime<Utc>, DateTime<Utc>) {
    let zone: Tz = zone.parse().unwrap_or(Tz::UTC);
    let today = now.with_timezone(&zone).date_naive();
    let midnight = |date: chrono::NaiveDate| {
        // If clocks move forward at midnight, the day begins an hour later.
        (0..3)
            .find_map(|hour| {
                let time = date.and_time(NaiveTime::from_hms_opt(hour, 0, 0)?);
                match zone.from_local_datetime(&time) {
                    LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
                    LocalResult::None => None,
                }
            })
            .unwrap_or_else(|| date.and_time(NaiveTime::MIN).and_utc())
    };
    (midnight(today), midnight(today.succ_opt().unwrap_or(today)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_ends_at_midnight_of_the_account_over_changes_of_the_clock() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let cases = [
            (
                "2026-11-20T22:30:00Z",
                "Europe/Paris",
                "2026-11-19T23:00:00Z",
                "2026-11-20T23:00:00Z",
            ),
            (
                "2026-10-25T12:00:00Z",
                "Europe/Paris",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            ("2026-11-20T22:30:00Z", "US/Eastern", "2026-11-20T05:00:00Z", "2026-11-21T05:00:00Z"),
            ("2026-11-20T22:30:00Z", "Moon/Tycho", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        ];
        for (now, zone, start, end) in cases {
            assert_eq!(day_of(at(now), zone), (at(start), at(end)), "{now} {zone}");
        }
    }
}
