//! Text: one line, several lines, names of people, and HTML.

use std::borrow::Cow;

use serde_json::Value;

use super::Invalid;

/// The text of a string or a number: applications send a postal code as either.
pub(crate) fn of(value: &Value) -> Result<Cow<'_, str>, Invalid> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        _ => Err(Invalid::wrong_type("a string")),
    }
}

/// The text of a string and of nothing else.
pub(super) fn only(value: &Value) -> Result<&str, Invalid> {
    value.as_str().map(str::trim).ok_or_else(|| Invalid::wrong_type("a string"))
}

/// One line: every run of control characters becomes one space, the ends are trimmed.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut in_control = false;
    for character in text.trim().chars() {
        if !character.is_control() {
            line.push(character);
        } else if !in_control {
            line.push(' ');
        }
        in_control = character.is_control();
    }
    line.truncate(line.trim_end().len());
    line
}

/// Several lines: line ends become `\n`, tabs stay, other control characters go.
pub(super) fn multiline(text: &str) -> String {
    let text: String = text
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|&c| !c.is_control() || c == '\n' || c == '\t')
        .collect();
    text.trim().to_owned()
}

/// A person's name. Text all in one case is capitalised, word by word, hyphens and apostrophes
/// kept; mixed case is somebody's choice (`McDonald`, `van der Berg`) and stays.
pub(super) fn name(text: &str) -> String {
    if text.chars().any(char::is_lowercase) && text.chars().any(char::is_uppercase) {
        return text.to_owned();
    }
    text.split_inclusive(|c: char| c.is_whitespace() || "-'’.".contains(c))
        .map(capitalise)
        .collect()
}

fn capitalise(word: &str) -> String {
    let mut rest = word.chars();
    match rest.next() {
        Some(first) => first.to_uppercase().chain(rest.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

/// Plain text as HTML: markup characters escaped, line ends kept as `<br>`.
pub(super) fn html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' => html.push_str("<br>"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_and_numbers_are_text() {
        assert_eq!(of(&json!(75001)).unwrap(), "75001");
        assert_eq!(of(&json!("x")).unwrap(), "x");
        assert_eq!(of(&json!(false)).unwrap_err().code, "wrong_type");
    }

    #[test]
    fn lines() {
        for (sent, kept) in
            [("  a b  ", "a b"), ("a\r\n\tb\n", "a b"), ("a  b", "a  b"), ("\n\u{7}\n", "")]
        {
            assert_eq!(line(sent), kept, "{sent:?}");
        }
        assert_eq!(multiline(" one\r\ntwo\tx\u{7}\rthree\n"), "one\ntwo\tx\nthree");
    }

    #[test]
    fn names() {
        for (sent, kept) in [
            ("marie", "Marie"),
            ("MARIE", "Marie"),
            ("jean-pierre d'arc", "Jean-Pierre D'Arc"),
            ("élodie", "Élodie"),
            ("ÉLODIE O’NEIL", "Élodie O’Neil"),
            ("mcdonald", "Mcdonald"),
            ("McDonald", "McDonald"),
            ("van der Berg", "van der Berg"),
            ("j.r.r. tolkien", "J.R.R. Tolkien"),
            ("李小龙", "李小龙"),
            ("", ""),
        ] {
            assert_eq!(name(sent), kept, "{sent}");
        }
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(html("a<b> & \"c\"\n'd'"), "a&lt;b&gt; &amp; &quot;c&quot;<br>&#39;d&#39;");
    }
}
