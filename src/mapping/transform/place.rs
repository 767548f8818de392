//! Countries: reads a code or a name and returns HubSpot's name, the code or the phone region.
//!
//! `countries.tsv` contains the codes of ISO 3166 with their CLDR names in about forty languages
//! and in each country's own, and further names that shops and people use.

use std::collections::HashMap;
use std::sync::LazyLock;

use rlibphonenumber::Region;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Invalid;

/// The longest text that is read, in bytes: the longest name has 59 characters of up to four bytes.
const MAX_BYTES: usize = 240;
/// Words that some senders write and others leave out.
const LEFT_OUT: [&str; 2] = ["and", "the"];
/// Common codes that are not in the standard.
const USED: [(&str, &str); 2] = [("uk", "gb"), ("el", "gr")];

static COUNTRIES: LazyLock<Countries> =
    LazyLock::new(|| Countries::parse(include_str!("countries.tsv")));

/// One line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Country {
    code: &'static str,
    name: &'static str,
}

/// All countries by every name and code they are known by.
struct Countries {
    by_code: HashMap<String, Country>,
    by_name: HashMap<String, Country>,
}

impl Countries {
    fn parse(text: &'static str) -> Self {
        let mut countries = Self { by_code: HashMap::new(), by_name: HashMap::new() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split('\t');
            let mut next = || columns.next().unwrap_or_default();
            let (code, long_code, name, others) = (next(), next(), next(), next());
            let country = Country { code, name };
            for code in [code, long_code] {
                countries.by_code.insert(code.to_ascii_lowercase(), country);
            }
            for name in others.split('|').chain([name]) {
                countries.by_name.insert(fold(name), country);
            }
        }
        for (used, code) in USED {
            if let Some(country) = countries.by_code.get(code).copied() {
                countries.by_code.insert(used.to_owned(), country);
            }
        }
        countries
    }

    fn find(&self, text: &str) -> Option<Country> {
        self.by_code_or_name(text).or_else(|| self.said_twice(text))
    }

    fn by_code_or_name(&self, text: &str) -> Option<Country> {
        // Codes are tried first, including codes with dots (`U.S.A.`) and flags.
        if text.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '.' | ' ')) {
            let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
            if let Some(country) = self.by_code.get(&letters.to_ascii_lowercase()) {
                return Some(*country);
            }
        }
        let flag: Option<String> = text.chars().map(flag_letter).collect();
        let by_flag = flag.and_then(|code| self.by_code.get(&code));
        by_flag.or_else(|| self.by_name.get(&fold(text))).copied()
    }

    /// Reads `United States (US)` or `FR - France`. Both halves must name the same country.
    fn said_twice(&self, text: &str) -> Option<Country> {
        let parts =
            |c: char| matches!(c, '(' | ')' | '[' | ']' | ',' | '/' | ':' | '-' | '–' | '—');
        let places = text.char_indices().filter(|(_, c)| parts(*c) || c.is_whitespace());
        places.into_iter().find_map(|(at, _)| {
            let (one, other) = text.split_at(at);
            let [one, other] =
                [one, other].map(|half| half.trim_matches(|c: char| parts(c) || c.is_whitespace()));
            let country = self.by_code_or_name(one)?;
            (self.by_code_or_name(other)? == country).then_some(country)
        })
    }
}

/// Returns the name that is sent to HubSpot.
pub(super) fn name(text: &str) -> Result<String, Invalid> {
    find(text).map(|country| country.name.to_owned())
}

/// Returns the two-letter code.
pub(super) fn code(text: &str) -> Result<String, Invalid> {
    find(text).map(|country| country.code.to_owned())
}

/// Returns the two-letter code of a country, if the text names one.
#[must_use]
pub fn country_code(text: &str) -> Option<&'static str> {
    find(text.trim()).ok().map(|country| country.code)
}

/// Returns the phone region, if the text names a country that has one.
pub(crate) fn region(text: &str) -> Option<Region> {
    Region::from_code(country_code(text)?).ok()
}

fn find(text: &str) -> Result<Country, Invalid> {
    let known = (text.len() <= MAX_BYTES).then(|| COUNTRIES.find(text)).flatten();
    known.ok_or_else(|| {
        let reason = "must be a country: its ISO 3166 code, such as FR, or its name";
        Invalid::new("invalid_country", reason)
    })
}

/// Returns the letter of a regional indicator. Two of them are displayed as a flag.
fn flag_letter(c: char) -> Option<char> {
    let place = u32::from(c).checked_sub(0x1F1E6).filter(|place| *place < 26)?;
    char::from_u32(u32::from('a') + place)
}

/// Reduces a name to a form that ignores accents, case, blanks and punctuation.
fn fold(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.nfkd().flat_map(char::to_lowercase) {
        match c {
            '\u{300}'..='\u{36F}' => {}
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            'ħ' => plain.push('h'),
            'ı' => plain.push('i'),
            'ə' => plain.push('a'),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            'ß' => plain.push_str("ss"),
            c if c.is_alphanumeric() || is_combining_mark(c) => plain.push(c),
            _ => plain.push(' '),
        }
    }
    let words = plain.split(' ').filter(|word| !LEFT_OUT.contains(word));
    words
        .map(|word| match word {
            "st" => "saint",
            "ste" => "sainte",
            word => word,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_by_all_that_it_is_known_by() {
        let lines = include_str!("countries.tsv").lines().filter(|line| !line.starts_with('#'));
        let mut found = 0;
        for line in lines {
            let columns: Vec<&str> = line.split('\t').collect();
            let [two, three, sent, others] = columns[..] else { panic!("{line}") };
            for known in others.split('|').chain([two, three, sent]) {
                assert_eq!(code(known).as_deref(), Ok(two), "{known}");
                assert_eq!(name(known).as_deref(), Ok(sent), "{known}");
            }
            found += 1;
        }
        assert_eq!(found, 250);
    }

    #[test]
    fn anything_else_is_refused() {
        let long = "x".repeat(300);
        for text in [
            "XX",
            "ZZZ",
            "Atlantis",
            "250",
            "F1",
            "é",
            "",
            "-",
            "()",
            "Virgin Islands",
            "France, Spain",
            "Saint Martin (Elsewhere)",
            "Paris, France",
            "🇫",
            &long,
        ] {
            assert_eq!(name(text).unwrap_err().code, "invalid_country", "{text}");
        }
    }

    #[test]
    fn a_country_has_a_phone_region() {
        assert_eq!(region(" France "), Some(Region::FR));
        assert_eq!(region("Kosovo"), Some(Region::XK));
        assert_eq!(region("Atlantis"), None);
    }
}
