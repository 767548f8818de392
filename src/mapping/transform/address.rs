//! Internet addresses: e-mail, URL and domain.

use email_address::{EmailAddress, Options};
use unicode_normalization::char::is_combining_mark;

use super::Invalid;

/// The longest path of RFC 5321, without its angle brackets.
const MAX_EMAIL_BYTES: usize = 254;
const MAX_HOST_BYTES: usize = 253;
const MAX_URL_BYTES: usize = 2048;

/// Returns an e-mail address in lower case.
pub(super) fn email(text: &str) -> Result<String, Invalid> {
    let email = text.to_lowercase();
    let options =
        Options::default().with_required_tld().without_domain_literal().without_display_text();
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
    if email.len() > MAX_EMAIL_BYTES
        || email.contains(odd)
        || EmailAddress::parse_with_options(&email, options).is_err()
    {
        let reason = "must be one e-mail address, such as name@example.com";
        return Err(Invalid::new("invalid_email", reason));
    }
    Ok(email)
}

/// Returns an http or https address. `https://` is added if the scheme is missing.
pub(super) fn url(text: &str) -> Result<String, Invalid> {
    let invalid =
        || Invalid::new("invalid_url", "must be a web address, such as https://example.com");
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = scheme.to_ascii_lowercase();
    if (scheme != "http" && scheme != "https")
        || text.len() > MAX_URL_BYTES
        || rest.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(invalid());
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = authority.to_lowercase();
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, format!(":{port}")),
        Some(_) => return Err(invalid()),
        None => (authority.as_str(), String::new()),
    };
    // User info before the host can make an address look like that of another site.
    let host = host.strip_suffix('.').unwrap_or(host);
    if !is_host(&host.replace('_', "-")) {
        return Err(invalid());
    }
    let path = if path == "/" { "" } else { path };
    Ok(format!("{scheme}://{host}{port}{path}"))
}

/// Returns the host of a domain or URL in lower case, without `www.`.
pub(super) fn domain(text: &str) -> Result<String, Invalid> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_lowercase();
    let host = authority.split(':').next().unwrap_or_default().trim_end_matches('.');
    let host = host.strip_prefix("www.").unwrap_or(host);
    if !is_host(host) {
        return Err(Invalid::new("invalid_domain", "must be a domain, such as example.com"));
    }
    Ok(host.to_owned())
}

/// Whether `host` has at least two labels of letters, digits and inner hyphens.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || is_combining_mark(c) || c == '-')
    };
    host.len() <= MAX_HOST_BYTES && host.contains('.') && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses() {
        assert_eq!(email("Marie@Company.fr").unwrap(), "marie@company.fr");
        assert_eq!(email("a.b+tag@sub.example.co.uk").unwrap(), "a.b+tag@sub.example.co.uk");
        let long = format!("{}@example.com", "a".repeat(250));
        for text in [
            "not-an-address",
            "a@b",
            "a..b@example.org",
            "a@[127.0.0.1]",
            "\"x y\"@example.org",
            "Ada <a@example.org>",
            "a@example.org, b@example.org",
            "@example.org",
            "a@",
            &long,
        ] {
            assert_eq!(email(text).unwrap_err().code, "invalid_email", "{text}");
        }
    }

    #[test]
    fn urls() {
        for (sent, kept) in [
            ("HTTPS://Example.COM/Path?Q=1", "https://example.com/Path?Q=1"),
            ("example.com", "https://example.com"),
            ("http://example.com:8080", "http://example.com:8080"),
            ("http://example.com.:8080/", "http://example.com:8080"),
            ("example.com/@ada?to=a@b.com#@", "https://example.com/@ada?to=a@b.com#@"),
            ("my_shop.example.com/", "https://my_shop.example.com"),
            ("https://हिन्दी.example/a/", "https://हिन्दी.example/a/"),
        ] {
            assert_eq!(url(sent).unwrap(), kept, "{sent}");
        }
        for text in [
            "ftp://example.com",
            "javascript:alert(1)",
            "https://",
            "a b.com",
            "x@y.com",
            "https://bank.example@evil.example/",
            "https://user:password@example.com",
            "https://example.com:99999",
            "https://example..com",
        ] {
            assert_eq!(url(text).unwrap_err().code, "invalid_url", "{text}");
        }
    }

    #[test]
    fn domains() {
        for (sent, kept) in [
            ("Dupont-Electrical.FR", "dupont-electrical.fr"),
            ("https://www.example.com:443/a?b", "example.com"),
            ("éclair.fr.", "éclair.fr"),
        ] {
            assert_eq!(domain(sent).unwrap(), kept, "{sent}");
        }
        for text in ["localhost", "-a.fr", "a..fr", "a b.fr", "https://"] {
            assert_eq!(domain(text).unwrap_err().code, "invalid_domain", "{text}");
        }
    }
}
