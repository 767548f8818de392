//! Removes personal data from HubSpot's messages, which repeat the values that HubSpot refuses.
//!
//! There are four passes: the values that were sent, the places where HubSpot's sentences contain a
//! value (it may be changed or cut), e-mail addresses, and phone numbers. Record ids, dates and
//! property names stay.

mod phone;
#[cfg(test)]
mod tests;

/// The text that replaces a value.
const MARK: &str = "[value]";

/// The longest message that is stored, in bytes.
const LONGEST: usize = 500;

/// The longest message that is read, in characters; the longest property value has 65,536.
const LONGEST_READ: usize = 200_000;

/// Shorter values stay. A word of two letters is not personal data and is too common.
const SHORTEST: usize = 3;

/// From this length on, a value is also found inside a longer word.
const LONG: usize = 8;

/// Returns `message` without any personal data: e-mail addresses, phone numbers, and each value in
/// `sent` (the values of the request) of three or more characters, in any case.
#[must_use]
pub fn redact<'a>(message: &str, sent: impl Iterator<Item = &'a str>) -> String {
    let text = visible(&message.chars().take(LONGEST_READ).collect::<String>());
    let mut text = phone::phones(&addresses(&places(values(&text, &forms(sent)))));
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Replaces control characters with blanks: a message is a single line, and Postgres accepts no
/// NUL.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Returns the values in every form in which a message may repeat them. The longest come first, so
/// that no part of a longer value remains.
fn forms<'a>(sent: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut forms = Vec::new();
    for value in sent {
        let value = visible(value.trim());
        if value.contains(['"', '\\']) {
            forms.push(value.replace('\\', "\\\\").replace('"', "\\\""));
        }
        // HubSpot stores phone numbers without the plus.
        if let Some(digits) = value.strip_prefix('+')
            && digits.len() >= 7
            && digits.bytes().all(|b| b.is_ascii_digit())
        {
            forms.push(digits.to_owned());
        }
        forms.push(value);
    }
    forms.retain(|form| form.chars().count() >= SHORTEST);
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms
}

fn values(text: &str, forms: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut before, mut rest) = (None, text);
    while let Some(first) = rest.chars().next() {
        let hit = forms.iter().find_map(|form| {
            let length = prefix(rest, form)?;
            stands_alone(form, before, rest[length..].chars().next()).then_some(length)
        });
        let length = hit.unwrap_or(first.len_utf8());
        out.push_str(if hit.is_some() { MARK } else { &rest[..length] });
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    out
}

/// Returns the length of `form` at the start of `text`, in any case.
fn prefix(text: &str, form: &str) -> Option<usize> {
    let mut rest = text.chars();
    for wanted in form.chars() {
        let c = rest.next()?;
        if c != wanted && !c.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    Some(text.len() - rest.as_str().len())
}

/// Whether a value is a separate word, and not a part of one of HubSpot's words, such as `ann` in
/// `cannot`.
fn stands_alone(form: &str, before: Option<char>, after: Option<char>) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    form.chars().nth(LONG - 1).is_some()
        || !(word(before) && word(form.chars().next())
            || word(after) && word(form.chars().next_back()))
}

/// Replaces the text in the places where HubSpot's sentences contain a value.
fn places(text: String) -> String {
    let mut text = between(&text, "Email address ", " is invalid");
    let option = " was not one of the allowed options";
    if let Some(end) = text.find(option) {
        // Inside the JSON of a list of faults, the sentence begins after a quote.
        let listed = text.starts_with("Property values were not valid");
        let start = if listed { text[..end].rfind('"').map_or(end, |quote| quote + 1) } else { 0 };
        text.replace_range(start..end, MARK);
    }
    if let Some(start) = text.find(", value=").map(|at| at + ", value=".len())
        && text.contains("PropertyValueCoordinates{")
        && let Some(end) = text.rfind("} on ").filter(|end| *end >= start)
    {
        text.replace_range(start..end, MARK);
    }
    text
}

/// Replaces every text between `open` and the next `close`.
fn between(text: &str, open: &str, close: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(open).map(|at| at + open.len())
        && let Some(length) = rest[start..].find(close)
    {
        out.push_str(&rest[..start]);
        out.push_str(MARK);
        rest = &rest[start + length..];
    }
    out + rest
}

/// Replaces e-mail addresses, whatever text surrounds them.
fn addresses(text: &str) -> String {
    let chars: Vec<char> = text.replace("%40", "@").chars().collect();
    let mut out: Vec<char> = Vec::with_capacity(chars.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if !is_at(c) {
            out.push(c);
            at += 1;
            continue;
        }
        let length = out.len();
        take_back_local_part(&mut out);
        let mut end = at + 1;
        while chars.get(end).is_some_and(|&c| is_domain(c)) {
            end += 1;
        }
        while end > at + 1 && matches!(chars[end - 1], '.' | '-') {
            end -= 1;
        }
        if out.len() < length || end > at + 1 {
            out.extend(MARK.chars());
        } else {
            out.push(c);
        }
        at = end;
    }
    out.into_iter().collect()
}

/// Removes the part left of an `@`: a quoted text, or all characters that cannot belong to the
/// sentence.
fn take_back_local_part(out: &mut Vec<char>) {
    if out.last() == Some(&'"') {
        let open = out[..out.len() - 1].iter().rposition(|&c| c == '"');
        out.truncate(open.unwrap_or(out.len() - 1));
        return;
    }
    let mut start = out.len();
    while start > 0 && is_local(out[start - 1]) {
        start -= 1;
    }
    while start < out.len() && matches!(out[start], '\'' | '`' | '‘' | '«' | '“') {
        start += 1;
    }
    out.truncate(start);
}

fn is_at(c: char) -> bool {
    matches!(c, '@' | '＠' | '﹫')
}

fn is_local(c: char) -> bool {
    !c.is_whitespace() && !r#""<>()[]{},;:\"#.contains(c)
}

fn is_domain(c: char) -> bool {
    c.is_alphanumeric() || is_at(c) || matches!(c, '.' | '-' | '_' | '%' | '+')
}
