//! Tells phone numbers from HubSpot's own numbers: ids, dates and limits.

use super::MARK;

/// The most digits of a phone number. Two ids next to each other have more.
const MOST_DIGITS: usize = 15;

/// Replaces phone numbers: those with a plus or a leading zero, or with digits in groups.
pub(super) fn phones(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if let Some(end) = phone(&chars, at) {
            out.push_str(MARK);
            at = end;
            continue;
        }
        out.push(c);
        at += 1;
        // A phone number does not begin in the middle of another number.
        while c.is_ascii_digit() && chars.get(at).is_some_and(char::is_ascii_digit) {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Returns where the phone number that begins at `at` ends.
fn phone(chars: &[char], at: usize) -> Option<usize> {
    let plus = matches!(chars[at], '+' | '＋');
    let bracket = chars[at] == '(';
    if !plus && (is_part_of_a_word(chars, at) || !(bracket || chars[at].is_ascii_digit())) {
        return None;
    }
    let (groups, end) = groups(chars, at + usize::from(plus));
    let digits: usize = groups.iter().sum();
    if plus {
        return (digits >= 7).then_some(end);
    }
    let date = groups.starts_with(&[4, 2, 2]) && chars.get(at + 4) == Some(&'-');
    let goes_on = chars.get(end).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    if date || goes_on || digits > MOST_DIGITS {
        return None;
    }
    let zero = chars[at] == '0' && groups.first().is_some_and(|first| *first >= 2);
    let phone = zero && digits >= 8
        || groups.len() >= 3 && digits >= 9
        || bracket && groups.len() >= 2 && digits >= 7;
    phone.then_some(end)
}

/// Whether a number at `at` is part of a word, a hyphenated name or a decimal.
fn is_part_of_a_word(chars: &[char], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).and_then(|i| chars.get(i));
    let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    word(before(1)) || matches!(before(1), Some('-' | '.')) && word(before(2))
}

/// Returns the lengths of the digit groups from `at` on, and where the last one ends.
fn groups(chars: &[char], mut at: usize) -> (Vec<usize>, usize) {
    let (mut groups, mut end) = (Vec::new(), at);
    loop {
        let start = at;
        while chars.get(at).is_some_and(|c| matches!(c, '(' | ')')) || is_gap(chars, at, start) {
            at += 1;
        }
        let digits = chars[at.min(chars.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            return (groups, end);
        }
        groups.push(digits);
        at += digits;
        end = at;
    }
}

/// Whether there is one character between two groups. Two characters, as in `111. 222`, end the
/// number.
fn is_gap(chars: &[char], at: usize, start: usize) -> bool {
    let gap = |c: &char| matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '-' | '.' | '/');
    chars.get(at).is_some_and(gap) && !chars[start.min(at)..at].iter().any(gap)
}
