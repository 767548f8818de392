//! Text: a single line, several lines, and HTML.

use std::borrow::Cow;

use serde_json::Value;

use super::Invalid;

/// Returns the text of a string or a number. Applications send a postal code as either.
pub(crate) fn of(value: &Value) -> Result<Cow<'_, str>, Invalid> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        _ => Err(Invalid::wrong_type("a string")),
    }
}

/// Returns one line of text. The texts of a list are joined with `;`, the separator that HubSpot
/// expects between several options.
pub(super) fn list(value: &Value) -> Result<String, Invalid> {
    let Value::Array(items) = value else { return Ok(line(&of(value)?)) };
    let texts = items.iter().filter(|item| !item.is_null()).map(|item| Ok(line(&of(item)?)));
    let texts: Vec<String> = texts.collect::<Result<_, Invalid>>()?;
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(";"))
}

/// Returns the text of a string, and refuses any other value.
pub(super) fn only(value: &Value) -> Result<&str, Invalid> {
    value.as_str().map(trim).ok_or_else(|| Invalid::wrong_type("a string"))
}

/// Returns a single line: each run of control characters becomes one space, both ends are trimmed,
/// and invisible characters are removed.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut in_control = false;
    for character in trim(text).chars().filter(|c| !is_invisible(*c)) {
        if !character.is_control() {
            line.push(character);
        } else if !in_control {
            line.push(' ');
        }
        in_control = character.is_control();
    }
    trim(&line).to_owned()
}

/// Removes blanks and invisible characters from both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c) || is_mark_of_direction(c))
}

/// Whether a character is a zero-width space or a byte order mark, which copying leaves behind.
/// Joiners are not included: Persian words, Indic words and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}')
}

/// Whether a character marks the direction of text. Marks are needed between two scripts, but never
/// at an end.
fn is_mark_of_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{61C}')
}

/// Returns several lines: line ends become `\n`, tabs stay, other control characters are removed.
pub(super) fn multiline(text: &str) -> String {
    let text: String = text
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|&c| !c.is_control() || c == '\n' || c == '\t')
        .collect();
    trim(&text).to_owned()
}

/// Returns plain text as HTML: markup characters are escaped, and line ends become `<br>`.
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
        for (sent, kept) in [
            ("  a b  ", "a b"),
            ("a\r\n\tb\n", "a b"),
            ("a  b", "a  b"),
            ("\n\u{7}\n", ""),
            ("\u{FEFF}a\u{200B}b \u{200E}", "ab"),
        ] {
            assert_eq!(line(sent), kept, "{sent:?}");
        }
        assert_eq!(multiline(" one\r\ntwo\tx\u{7}\rthree\n"), "one\ntwo\tx\nthree");
    }

    #[test]
    fn a_list_is_its_texts() {
        for (sent, kept) in [
            (json!(["a", " b ", 3]), "a;b;3"),
            (json!(["a", null, ""]), "a"),
            (json!([]), ""),
            (json!("a,b"), "a,b"),
        ] {
            assert_eq!(list(&sent).as_deref(), Ok(kept), "{sent}");
        }
        for sent in [json!([{}]), json!([["a"]]), json!([true]), json!({ "a": 1 })] {
            assert_eq!(list(&sent).unwrap_err().code, "wrong_type", "{sent}");
        }
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(html("a<b> & \"c\"\n'd'"), "a&lt;b&gt; &amp; &quot;c&quot;<br>&#39;d&#39;");
    }
}
