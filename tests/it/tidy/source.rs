//! As much of Rust's syntax as the rules need: what is code, what is a string, what is a path.

/// Every path that starts at the crate, without its `crate::`, and where it is.
pub(super) fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for word in words(code).filter(|word| matches!(*word, "crate" | "hubferry")) {
        let end = word.as_ptr() as usize - code.as_ptr() as usize + word.len();
        let rest = code[end..].trim_start();
        if let Some(tree) = rest.strip_prefix("::") {
            branches(code, code.len() - tree.len(), "", &mut found);
        }
    }
    found
}

/// Reads `a::b`, `a::*` or `a::{b, c::{d}}` from `at`; answers where it ends.
fn branches(code: &str, at: usize, stem: &str, found: &mut Vec<(usize, String)>) -> usize {
    let rest = code[at..].trim_start();
    let at = code.len() - rest.len();
    if rest.starts_with('{') {
        let mut next = at + 1;
        loop {
            let rest = code[next..].trim_start();
            let here = code.len() - rest.len();
            match rest.chars().next() {
                Some(',') => next = here + 1,
                Some('}') => return here + 1,
                None => return here,
                Some(_) => next = branches(code, here, stem, found).max(here + 1),
            }
        }
    }
    let name = rest
        .find(|c: char| !is_word(c))
        .unwrap_or(rest.len())
        .max(usize::from(rest.starts_with('*')));
    let path = if stem.is_empty() {
        rest[..name].to_owned()
    } else {
        format!("{stem}::{}", &rest[..name])
    };
    let after = rest[name..].trim_start();
    match after.strip_prefix("::") {
        Some(more) if !more.trim_start().starts_with('<') => {
            branches(code, code.len() - more.len(), &path, found)
        }
        _ => {
            found.push((at, path));
            let alias =
                after.strip_prefix("as ").map(|name| name.trim_start().trim_start_matches(is_word));
            code.len() - alias.unwrap_or(after).len()
        }
    }
}

/// What [`parts`] leaves standing.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keep {
    Code,
    Strings,
}

/// A source text with everything but its code, or but its string literals, blanked out; lines
/// stay where they are. Comments are blanked out either way.
pub(super) fn parts(text: &str, keep: Keep) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, kept) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), false)
        } else if let Some(length) = string_length(rest, out.ends_with(is_word)) {
            (length, keep == Keep::Strings)
        } else {
            (char_length(rest).unwrap_or(first.len_utf8()), keep == Keep::Code)
        };
        let (piece, after) = rest.split_at(length);
        let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
        if kept {
            out.push_str(piece)
        } else {
            out.extend(piece.chars().map(blank))
        }
        rest = after;
    }
    out
}

/// The length of the string literal that a text starts with, raw or not.
fn string_length(text: &str, in_word: bool) -> Option<usize> {
    if let Some(raw) = text.strip_prefix('r').filter(|_| !in_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            return Some(
                text[open..].find(&close).map_or(text.len(), |end| open + end + close.len()),
            );
        }
    }
    let body = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = body.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |end| end + 2))
}

/// The length of the character literal that a text starts with; a lifetime is none.
fn char_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let first = body.chars().next()?;
    let from = if first == '\\' { 2 } else { first.len_utf8() };
    let end = body.get(from..)?.find('\'')?;
    (end == 0 || first == '\\').then_some(from + end + 2)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
