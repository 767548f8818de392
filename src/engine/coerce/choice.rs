//! Finds the option that a value means, because senders use labels and spellings of their own.

use std::cell::LazyCell;

use crate::engine::coerce::outcome::{Value, stray};
use crate::hubspot::definitions::Choice;
use crate::mapping::country_code;

/// Coerces `value` to one of `options`, by value or by label. Without options every value is
/// allowed.
#[must_use]
pub fn one_of(options: &[Choice], value: &str) -> Value {
    match choice(options, value) {
        _ if options.is_empty() => Value::Unchanged,
        Some(known) if known == value => Value::Unchanged,
        Some(known) => Value::Changed(known.to_owned(), None),
        None => Value::Invalid(stray("INVALID_OPTION", "none of the property's options", options)),
    }
}

/// Whether `to` comes before `from` in the order of the options.
#[must_use]
pub fn goes_back(options: &[Choice], from: &str, to: &str) -> bool {
    let place = |value: &str| {
        let known = choice(options, value)?;
        options.iter().position(|option| option.value == known)
    };
    matches!((place(from), place(to)), (Some(from), Some(to)) if to < from)
}

/// Finds the option that `value` means and returns its internal value. An exact match wins.
/// Otherwise the match must be unique: first ignoring case, then ignoring blanks and punctuation
/// too, then by country.
pub(crate) fn choice<'a>(options: &'a [Choice], value: &str) -> Option<&'a str> {
    let wanted = value.trim();
    let (lower, plain) = (wanted.to_lowercase(), plain(wanted));
    let country = LazyCell::new(|| country_code(wanted).filter(|_| are_countries(options)));
    let is_country = |option: &Choice| {
        let is = |name: &str| country_code(name) == *country;
        country.is_some() && (is(&option.value) || is(&option.label))
    };
    let tests: [&dyn Fn(&Choice) -> bool; 7] = [
        &|option| option.value == wanted,
        &|option| option.label == wanted,
        &|option| option.value.to_lowercase() == lower,
        &|option| option.label.trim().to_lowercase() == lower,
        &|option| !plain.is_empty() && self::plain(&option.value) == plain,
        &|option| !plain.is_empty() && self::plain(&option.label) == plain,
        &is_country,
    ];
    tests.iter().find_map(|test| {
        let mut found = options.iter().filter(|option| test(option));
        let first = found.next()?;
        found.next().is_none().then_some(first.value.as_str())
    })
}

/// Whether most of the options are countries.
fn are_countries(options: &[Choice]) -> bool {
    let countries = options.iter().filter(|option| country_code(&option.label).is_some());
    countries.count() * 2 > options.len()
}

/// Reduces spellings of one option to the same text: no case, no blanks, and no punctuation.
/// Punctuation stays next to digits (`1-10`, `-1`) and where it makes a different word (`C++`).
fn plain(text: &str) -> String {
    let small: Vec<char> = text.trim().chars().flat_map(char::to_lowercase).collect();
    let digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
    let mut plain = String::with_capacity(text.len());
    for (place, &c) in small.iter().enumerate() {
        let c = if matches!(c, '\u{2010}'..='\u{2014}' | '\u{2212}') { '-' } else { c };
        let dropped = c.is_whitespace() || "-_.,:'’\"/\\&()!?".contains(c);
        let before = place.checked_sub(1).and_then(|before| small.get(before));
        let beside = digit(small.get(place + 1)) && before.is_none_or(|c| !c.is_alphabetic());
        if !dropped || (beside && !c.is_whitespace()) {
            plain.push(c);
        }
    }
    plain
}

/// Coerces several options. Semicolons separate them; commas, bars or line breaks do too if no
/// option contains them. A leading semicolon means that the options are added to the existing ones.
pub(crate) fn several(options: &[Choice], value: &str) -> Value {
    if options.is_empty() || choice(options, value).is_some() {
        return one_of(options, value);
    }
    let (mut known, mut all) = (Vec::new(), true);
    let mut take = |part: &str| {
        let found = choice(options, part);
        if let Some(option) = found.filter(|option| !known.contains(option)) {
            known.push(option);
        }
        found.is_some()
    };
    for part in value.split(';').filter(|part| !part.trim().is_empty()) {
        if take(part) {
            continue;
        }
        for smaller in part.split([',', '|', '\n']).filter(|part| !part.trim().is_empty()) {
            all &= take(smaller);
        }
    }
    let note = || stray("INVALID_OPTION", "some of it is none of the property's options", options);
    if known.is_empty() && !all {
        return Value::Invalid(note());
    }
    let front = if value.starts_with(';') { ";" } else { "" };
    let sent = format!("{front}{}", known.join(";"));
    let note = (!all).then(note);
    if sent == value { Value::Unchanged } else { Value::Changed(sent, note) }
}
