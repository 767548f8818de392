//! Capitalises names of people that are written all in one case, by the rules of their script.
//!
//! Mixed case is a choice (`McDonald`, `van der Berg`) and stays. Everything that the letters alone
//! do not decide stays too.

use unicode_normalization::char::is_combining_mark;

/// Characters that people type as an apostrophe. U+02BB and U+02BC are letters and not among them.
const APOSTROPHES: [char; 6] = ['\'', '’', '‘', '`', '´', '＇'];
/// Prefixes after whose apostrophe a new name begins, in addition to any single letter.
const ELIDED: [&str; 6] = ["all", "dall", "degl", "dell", "nell", "sant"];
/// Abbreviations without a vowel that are not initials.
const SHORT: [&str; 8] = ["jr", "sr", "dr", "mr", "mrs", "ms", "st", "ng"];
/// The largest number of letters in initials.
const INITIALS: usize = 3;

/// Returns the name with each word capitalised as needed.
pub(super) fn name(text: &str) -> String {
    let lower = text.chars().any(char::is_lowercase);
    let upper = text.chars().any(char::is_uppercase);
    if lower == upper || text.contains('@') {
        return text.to_owned();
    }
    let mut name = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if is_of_word(c) {
            word.push(c);
            continue;
        }
        push_word(&mut name, &word, upper);
        word.clear();
        name.push(c);
    }
    push_word(&mut name, &word, upper);
    name
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || APOSTROPHES.contains(&c) || is_joiner(c)
}

/// Whether a character is invisible between two letters and does not end a word.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200C}' | '\u{200D}')
}

/// Appends `word`, which may contain apostrophes. `upper` says that it was all in capitals.
fn push_word(name: &mut String, word: &str, upper: bool) {
    let first = !name.chars().any(char::is_alphabetic);
    if is_numeral(word, upper) && !first {
        name.push_str(&word.to_uppercase());
        return;
    }
    if is_undecided(word, upper) {
        name.push_str(word);
        return;
    }
    let word = lowercase(word, upper);
    let mut rest = word.as_str();
    let mut begins = true;
    while let Some(at) = rest.find(APOSTROPHES) {
        let (part, after) = rest.split_at(at);
        let mark = after.chars().next().map_or(0, char::len_utf8);
        push_part(name, part, begins);
        name.push_str(&after[..mark]);
        rest = &after[mark..];
        // A new name begins in `O'Brien`, `D'Arc` and `Dell'Acqua`, but not in `Sa'id` and
        // `Anthony's`.
        let elided = letters(part) == 1 || part.is_empty() || ELIDED.contains(&part);
        begins = begins && elided && (part.is_empty() || letters(rest) > 1);
    }
    push_part(name, rest, begins);
}

fn push_part(name: &mut String, part: &str, begins: bool) {
    let Some(first) = part.chars().next().filter(|first| begins && has_capitals(*first)) else {
        name.push_str(part);
        return;
    };
    name.extend(capital(first));
    let rest = &part[first.len_utf8()..];
    match rest.strip_prefix('c').filter(|tail| first == 'm' && letters(tail) > 2) {
        // `McDonald`. `Mac` is not handled, because it is part of many other names.
        Some(tail) => {
            name.push('c');
            push_part(name, tail, true);
        }
        None => name.push_str(rest),
    }
}

/// Whether this is a small letter of a script whose names begin with a capital: Latin, Greek,
/// Cyrillic or Armenian.
fn has_capitals(c: char) -> bool {
    matches!(c,
        'a'..='z' | '\u{B5}'..='\u{2AF}' | '\u{1E00}'..='\u{1EFF}'
        | '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}'
        | '\u{400}'..='\u{52F}' | '\u{560}'..='\u{58F}')
}

/// Returns the capital that begins a word. Only the first letter of a digraph is a capital.
fn capital(c: char) -> impl Iterator<Item = char> {
    let title = match c {
        'ǆ' => Some('ǅ'),
        'ǉ' => Some('ǈ'),
        'ǌ' => Some('ǋ'),
        'ǳ' => Some('ǲ'),
        // A letter with a capital form of two letters (`ß`) never begins a name.
        c if c.to_uppercase().count() > 1 => Some(c),
        _ => None,
    };
    title.into_iter().chain(c.to_uppercase().filter(move |_| title.is_none()))
}

/// Returns a word in capitals in lower case, and any other word unchanged.
fn lowercase(word: &str, upper: bool) -> String {
    if !upper {
        return word.to_owned();
    }
    if !word.contains('İ') {
        return word.to_lowercase();
    }
    // In Turkish, `İ` is the capital of `i` and `I` that of `ı`. The first letter stays a capital.
    let small = |(place, c): (usize, char)| match c {
        'İ' if place > 0 => "i".to_owned(),
        'I' if place > 0 => "ı".to_owned(),
        'İ' | 'I' => c.to_string(),
        _ => c.to_lowercase().collect(),
    };
    word.chars().enumerate().map(small).collect()
}

/// Whether this is a Roman numeral behind a name. `VI` and `XI` in small letters may be names.
fn is_numeral(word: &str, upper: bool) -> bool {
    const NUMERALS: [&str; 17] = [
        "ii", "iii", "iv", "vii", "viii", "ix", "xii", "xiii", "xiv", "xv", "xvi", "xvii", "xviii",
        "xix", "xx", "xxi", "xxiii",
    ];
    NUMERALS.contains(&word.to_lowercase().as_str()) || (upper && matches!(word, "VI" | "XI"))
}

/// Whether the letters leave the case open: initials (`JP`, `TJ`), `IJ` (one letter in Dutch, two
/// elsewhere), `I` next to Turkish letters (the capital of `i` or of `ı`), a numeral in front, and
/// scripts that do not capitalise names.
fn is_undecided(word: &str, upper: bool) -> bool {
    if !upper {
        return word.starts_with("ij");
    }
    let initials = (2..=INITIALS).contains(&word.len())
        && word.chars().all(|c| c.is_ascii_uppercase() && !"AEIOUY".contains(c))
        && !SHORT.contains(&word.to_ascii_lowercase().as_str());
    let turkish = word.contains(['Ğ', 'Ş']) && word.contains('I') && !word.contains('İ');
    let ruled = |c: char| {
        !c.is_uppercase()
            || c.to_lowercase()
                .all(|small| has_capitals(small) || is_georgian(small) || small == '\u{307}')
    };
    initials
        || turkish
        || word.starts_with("IJ")
        || is_numeral(word, false)
        || !word.chars().all(ruled)
}

/// Whether a letter is Georgian. Georgian uses capitals for headlines only.
fn is_georgian(c: char) -> bool {
    matches!(c, '\u{10D0}'..='\u{10FF}')
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_one_case_are_capitalised_and_others_stay() {
        for (sent, kept) in [
            ("marie", "Marie"),
            ("ÉLODIE O’NEIL", "Élodie O’Neil"),
            ("mcdonald", "McDonald"),
            ("macdonald", "Macdonald"),
            ("McDonald", "McDonald"),
            ("DUPONT-d'arc", "DUPONT-d'arc"),
            ("ნინო", "ნინო"),
            ("", ""),
        ] {
            assert_eq!(name(sent), kept, "{sent}");
        }
    }

    #[test]
    fn a_capital_is_one_letter() {
        for (sent, kept) in [("ǆemal", "ǅemal"), ("ßeta", "ßeta"), ("ﬁona", "ﬁona")] {
            assert_eq!(name(sent), kept, "{sent}");
        }
    }
}
