//! The address of a database, as a URL.

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::config::ConfigError;

/// The options allowed in an address after the `?`.
const OPTIONS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "statement-cache-capacity",
];

/// Parses the address. No message repeats any part of it, because the password in it may be in an
/// unexpected place.
pub(super) fn parse_url(
    key: &'static str,
    url: &SecretString,
) -> Result<PgConnectOptions, ConfigError> {
    let wrong = |reason: &str| ConfigError::Invalid { key, reason: reason.into() };
    let malformed = || {
        wrong("is malformed: use postgres://user:password@host:5432/database?sslmode=verify-full")
    };
    let parsed = reqwest::Url::parse(url.expose_secret()).map_err(|_| malformed())?;
    if !["postgres", "postgresql"].contains(&parsed.scheme()) {
        return Err(malformed());
    }
    for (place, (name, value)) in (1..).zip(parsed.query_pairs()) {
        let session = name == "options" || name.starts_with("options[");
        if session && (name.contains("search_path") || value.contains("search_path")) {
            return Err(wrong("sets search_path: use database.schema instead"));
        }
        if name == "sslmode" && value.parse::<PgSslMode>().is_err() {
            return Err(wrong(
                "sslmode must be verify-full, verify-ca, require, prefer, allow or disable",
            ));
        }
        if !session && !OPTIONS.contains(&&*name) {
            let known = OPTIONS.join(", ");
            return Err(wrong(&format!(
                "option {place} behind the ? is not known; known are {known} and options"
            )));
        }
    }
    let options: PgConnectOptions = url.expose_secret().parse().map_err(|_| malformed())?;
    let host = options.get_host();
    // The brackets of an IPv6 address belong to the URL, not to the host.
    Ok(match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => options.clone().host(host),
        None => options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<PgConnectOptions, String> {
        parse_url("DATABASE_URL", &SecretString::from(url)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_understood_or_refused_without_repeating_it() {
        let six = parsed("postgres://u:p@[::1]:5433/x").unwrap();
        assert_eq!((six.get_host(), six.get_port()), ("::1", 5433));
        let name = parsed("postgres://u:p@db.example.com/x?sslmode=verify-full").unwrap();
        assert_eq!(name.get_host(), "db.example.com");
        for (url, says) in [
            ("postgres://u:p@h/x?s3cret=1", "option 1"),
            ("postgres://u:p@h/x?sslmode=require&s3cret", "option 2"),
            ("postgres://u:p@h/x?sslmode=s3cret", "verify-full"),
            ("postgres://u:p@h/x?options=-c%20search_path%3Ds3cret", "database.schema"),
            ("postgres://u:p@h/x?options[search_path]=s3cret", "database.schema"),
            ("mysql://u:s3cret@h/x", "malformed"),
            ("postgres://u:s3cret@h:port/x", "malformed"),
            ("s3cret", "malformed"),
        ] {
            let said = parsed(url).unwrap_err();
            assert!(said.contains(says) && !said.contains("s3cret"), "{url}: {said}");
        }
    }
}
