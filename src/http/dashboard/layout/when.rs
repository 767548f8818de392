//! Times and durations as people read them.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// An instant as a `<time>` element: how long ago, and the exact time.
#[derive(Debug, Clone, Copy)]
pub(in crate::http::dashboard) struct When {
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Brief,
    Full,
    Bare,
}

impl When {
    /// Shows only how long ago, with the exact time as its title.
    pub(in crate::http::dashboard) fn brief(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self { at, now, form: Form::Brief }
    }

    /// Shows both.
    pub(in crate::http::dashboard) fn full(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self { at, now, form: Form::Full }
    }

    /// Shows only the exact time, for lines that stay on the page.
    pub(in crate::http::dashboard) fn bare(at: DateTime<Utc>) -> Self {
        Self { at, now: at, form: Form::Bare }
    }
}

// The text has only digits, units and punctuation.
impl askama::filters::HtmlSafe for When {}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iso = self.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (exact, relative) = (exact(self.at), relative(self.at, self.now));
        match self.form {
            Form::Brief => {
                write!(f, "<time datetime=\"{iso}\" title=\"{exact}\">{relative}</time>")
            }
            Form::Full => write!(
                f,
                "<time datetime=\"{iso}\">{exact}</time> <span class=\"muted\">({relative})</span>"
            ),
            Form::Bare => write!(f, "<time datetime=\"{iso}\">{exact}</time>"),
        }
    }
}

/// Returns `2026-11-20 10:00:04 UTC`.
pub(in crate::http::dashboard) fn exact(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Returns `3 min ago` or `in 2 h`.
fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let ago = now - at;
    if ago.abs() < TimeDelta::seconds(1) {
        return "now".into();
    }
    if ago > TimeDelta::zero() {
        format!("{} ago", span(ago))
    } else {
        format!("in {}", span(-ago))
    }
}

/// Returns a duration in its two largest units, or in one if the second does not matter.
pub(in crate::http::dashboard) fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 if minutes == 0 => format!("{hours} h"),
        3_600..86_400 => format!("{hours} h {minutes} min"),
        86_400..1_209_600 if hours > 0 => format!("{days} d {hours} h"),
        _ => format!("{days} d"),
    }
}

/// Formats milliseconds in the unit that fits.
pub(in crate::http::dashboard) fn millis(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..100_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => span(TimeDelta::milliseconds(ms)),
    }
}

/// Formats a count with separated thousands.
pub(in crate::http::dashboard) fn thousands(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if count < 0 {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_a_person_says_them() {
        let table = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (3_660, "1 h 1 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
            (1_209_600, "14 d"),
        ];
        for (seconds, text) in table {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
        assert_eq!(
            (millis(999), millis(1_250), millis(120_000)),
            ("999 ms".into(), "1.2 s".into(), "2 min".into())
        );
        assert_eq!(
            (thousands(0), thousands(999), thousands(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
    }

    #[test]
    fn an_instant_says_when_and_how_long_ago() {
        let now: DateTime<Utc> = "2026-11-20T10:03:00Z".parse().unwrap();
        let at = now - TimeDelta::minutes(3);
        let brief = When::brief(at, now).to_string();
        assert_eq!(
            brief,
            "<time datetime=\"2026-11-20T10:00:00.000Z\" title=\"2026-11-20 10:00:00 UTC\">3 min ago</time>"
        );
        assert!(When::full(now + TimeDelta::hours(2), now).to_string().contains("(in 2 h)"));
    }
}
