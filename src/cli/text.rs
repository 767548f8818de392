//! Formats text for people: numbers, durations and tables.

use std::time::Duration;

/// `41000` as `41,000`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 event`, `41,000 events`.
pub(super) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", self::number(number))
}

/// A span in its largest two units: `2 h 5 min`, `41 s`.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min {} s", s / 60, s % 60),
        s @ 3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// How long `left` of something takes at the pace of `done` in `elapsed`; `None` before there is one.
pub(super) fn time_left(done: u64, left: u64, elapsed: Duration) -> Option<Duration> {
    let seconds = elapsed.as_secs_f64() * left as f64 / done as f64;
    (done > 0 && seconds.is_finite()).then(|| Duration::from_secs_f64(seconds.min(1e9)))
}

/// Lines of cells, each column as wide as its widest cell, the last one as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let blanks = width.saturating_sub(cell.chars().count()) + 2;
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', blanks));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `text` in one line without control characters, cut to `most` characters. What a server or a file
/// says must not steer a terminal.
pub(super) fn plain(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_spans_and_tables_are_easy_to_read() {
        assert_eq!(
            [0, 999, 1_000, 41_000, 1_234_567].map(number).join(" "),
            "0 999 1,000 41,000 1,234,567"
        );
        assert_eq!([1, 0, 2_000].map(|n| count(n, "row")).join(", "), "1 row, 0 rows, 2,000 rows");
        let spans = [0, 61, 3_700, 90_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans.join(" | "), "0 s | 1 min 1 s | 1 h 1 min | 1 d 1 h");
        let second = Duration::from_secs(1);
        assert_eq!(time_left(10, 100, second), Some(Duration::from_secs(10)));
        assert_eq!(time_left(0, 100, second), None);
        let rows = [vec!["a".into(), "b".into()], vec!["long".into(), "c".into()]];
        assert_eq!(table(&rows), "a     b\nlong  c\n");
        assert_eq!(plain("a\u{1b}[31m\nbc", 4), "a [3…");
    }
}
