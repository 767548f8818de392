//! Links within the dashboard. They contain the whole state of a page.

/// Encodes a text as one path segment or one query value.
pub(in crate::http::dashboard) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Returns `path` with those of `pairs` that have a value.
pub(in crate::http::dashboard) fn link<'a>(
    path: &str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut out = path.to_owned();
    let mut mark = '?';
    for (key, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.push(mark);
        out.push_str(key);
        out.push('=');
        out.push_str(&encode(value));
        mark = '&';
    }
    out
}

/// Returns the link to a row.
pub(in crate::http::dashboard) fn row(id: i64) -> String {
    format!("/admin/queue/{id}")
}

/// Returns the link to a record.
pub(in crate::http::dashboard) fn record(sync_type: &str, external_id: &str) -> String {
    format!("/admin/records/{}/{}", encode(sync_type), encode(external_id))
}

/// Returns the link to a record in HubSpot.
pub(in crate::http::dashboard) fn hubspot(portal: i64, type_id: &str, id: &str) -> String {
    format!("https://app.hubspot.com/contacts/{portal}/record/{}/{}", encode(type_id), encode(id))
}

/// Returns where to go after signing in: a path of the dashboard, never another site.
pub(in crate::http::dashboard) fn local(next: &str) -> &str {
    let after = next.strip_prefix("/admin");
    let ours = after.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let plain = next.chars().all(|c| !c.is_control() && c != '\\') && !next.contains("//");
    if ours && plain && next.len() <= 2_000 { next } else { "/admin" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_segment() {
        assert_eq!(record("contact", "a/b?c#d é"), "/admin/records/contact/a%2Fb%3Fc%23d%20%C3%A9");
        assert_eq!(link("/admin", [("a", ""), ("b", "x&y"), ("c", "1")]), "/admin?b=x%26y&c=1");
    }

    #[test]
    fn only_paths_of_the_dashboard_are_ways_on() {
        for next in ["/admin", "/admin/queue?status=failed", "/admin?range=1h"] {
            assert_eq!(local(next), next);
        }
        for next in [
            "",
            "https://evil.example",
            "//evil.example",
            "/administrator",
            "/admin//evil.example",
            "/admin/\\evil.example",
            "/v1/events",
            "/admin/\r\nset-cookie: a=b",
        ] {
            assert_eq!(local(next), "/admin");
        }
    }
}
