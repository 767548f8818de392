//! Replaces parts of a body that a JSON parser refuses, before it is parsed. Pure.
//!
//! One bad character must not refuse the thousand events next to it, and a long number must not
//! lose digits.

use std::borrow::Cow;

/// The byte order mark, with which some editors begin a file.
const MARK: &[u8] = b"\xEF\xBB\xBF";
/// The replacement for an invalid character.
const REPLACEMENT: &[u8] = br"\uFFFD";

/// Removes the byte order mark.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// Returns `json` with U+FFFD for each unpaired surrogate. Whole numbers with more digits than a
/// number can hold become text.
pub(super) fn repaired(json: &[u8]) -> Cow<'_, [u8]> {
    let mut repaired = Vec::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while let Some(&byte) = json.get(at) {
        let from = at;
        at += 1;
        let instead = match byte {
            b'"' => {
                in_string = !in_string;
                continue;
            }
            b'\\' if in_string => {
                let (length, instead) = escape(json.get(from..).unwrap_or_default());
                at = from + length;
                instead.then(|| REPLACEMENT.to_vec())
            }
            b'-' | b'0'..=b'9' if !in_string => {
                let rest = json.get(from..).unwrap_or_default();
                let number = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = rest.iter().take_while(|b| number(b)).count();
                at = from + length;
                rest.get(..length).and_then(text_of)
            }
            _ => continue,
        };
        if let Some(instead) = instead {
            repaired.extend_from_slice(json.get(copied..from).unwrap_or_default());
            repaired.extend(instead);
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    repaired.extend_from_slice(json.get(copied..).unwrap_or_default());
    Cow::Owned(repaired)
}

/// Returns the length of the escape at the beginning, and whether it is an unpaired surrogate.
fn escape(json: &[u8]) -> (usize, bool) {
    const HIGH: std::ops::Range<u16> = 0xD800..0xDC00;
    const LOW: std::ops::Range<u16> = 0xDC00..0xE000;
    match (unit(json), json.get(6..).and_then(unit)) {
        (Some(first), Some(second)) if HIGH.contains(&first) && LOW.contains(&second) => {
            (12, false)
        }
        (Some(first), _) => (6, HIGH.contains(&first) || LOW.contains(&first)),
        (None, _) => (2, false),
    }
}

/// Returns the code unit of the `\uXXXX` at the beginning.
fn unit(json: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(json.strip_prefix(br"\u")?.get(..4)?).ok()?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// Returns the number in quotes, if it is a whole number too large for an integer.
fn text_of(number: &[u8]) -> Option<Vec<u8>> {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    // Fewer than 19 digits always fit.
    if digits.len() < 19 || digits.starts_with(b"0") || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(number).ok()?;
    let holds = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
    (!holds).then(|| [b"\"", number, b"\""].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_and_long_numbers_are_replaced_and_nothing_else() {
        for (sent, read) in [
            (r#"{"a":"boss \ud83d"}"#, r#"{"a":"boss \uFFFD"}"#),
            (
                r#"["\uDE00\ud83d","\ud83d\ud83d\ude00"]"#,
                r#"["\uFFFD\uFFFD","\uFFFD\ud83d\ude00"]"#,
            ),
            (
                r#"["\ud83d\ude00","\\ud83d","\"\ud83d"]"#,
                r#"["\ud83d\ude00","\\ud83d","\"\uFFFD"]"#,
            ),
            (r#"["\ud83dx","\u00e9"]"#, r#"["\uFFFDx","\u00e9"]"#),
            ("[123456789012345678901234567890]", r#"["123456789012345678901234567890"]"#),
            (
                "[-123456789012345678901,18446744073709551616]",
                r#"["-123456789012345678901","18446744073709551616"]"#,
            ),
            (
                "[18446744073709551615,-9223372036854775808,1e30]",
                "[18446744073709551615,-9223372036854775808,1e30]",
            ),
            (
                r#"{"12345678901234567890123":1.00000000000000000001}"#,
                r#"{"12345678901234567890123":1.00000000000000000001}"#,
            ),
            ("[0123456789012345678901234]", "[0123456789012345678901234]"),
            (r#"["\u12"#, r#"["\u12"#),
            (r#"["\"#, r#"["\"#),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(&repaired(sent.as_bytes())), read, "{sent}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(without_mark("\u{FEFF}{}".as_bytes()), b"{}");
        assert_eq!(without_mark(b"{}"), b"{}");
    }
}
