//! Taking personal data out of HubSpot's messages, which repeat the values they refuse.

/// The longest message that is kept.
const LONGEST: usize = 500;

/// `message` with everything that may be a value of ours replaced: addresses, phone numbers, and
/// each of `sent` (values of the request).
#[must_use]
pub fn redact<'a>(message: &str, sent: impl Iterator<Item = &'a str>) -> String {
    let mut text = message.to_owned();
    let mut values: Vec<&str> = sent.filter(|v| v.chars().count() >= 3).collect();
    // The longest first, so that no part of a longer value stays.
    values.sort_by_key(|v| std::cmp::Reverse(v.len()));
    for value in values {
        if text.contains(value) {
            text = text.replace(value, "[value]");
        }
    }
    let words: Vec<&str> =
        text.split(' ').map(|word| if is_personal(word) { "[value]" } else { word }).collect();
    let mut text = words.join(" ");
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn is_personal(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    word.contains('@') || (word.contains('+') && digits >= 7)
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn values_and_addresses_do_not_stay() {
        let message =
            "Email address ann@@example.com is invalid, Teal was not an option, call +33612345678";
        let told = redact(message, ["Teal"].into_iter());
        assert_eq!(
            told,
            "Email address [value] is invalid, [value] was not an option, call [value]"
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let told = redact(&"é".repeat(600), std::iter::empty());
        assert!(told.ends_with('…') && told.len() < 510);
    }
}
