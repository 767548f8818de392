//! Finds the part of the API that answers a path, in every spelling of the version.
//!
//! Dated paths have the version after the name of the API (`/crm/objects/2026-09/contacts`), old
//! ones before it (`/crm/v3/objects/contacts`). Any other version is a plain 404.

use axum::http::Method;

use crate::kinds::{Kind, Version};

/// The part of the API a path belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Area {
    Objects(String),
    Properties(String),
    Pipelines(String),
    Associations(String, String),
    Owners,
    Account,
    TokenInfo,
}

/// A parsed path.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) area: Area,
    pub(crate) version: Version,
    pub(crate) rest: Vec<String>,
}

/// Parses a path. Returns nothing for an unknown path or version.
pub(crate) fn parse(path: &str) -> Option<Route> {
    let segments: Vec<String> =
        path.split('/').filter(|s| !s.is_empty()).map(percent_decoded).collect();
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (area, version, rest) = match words.as_slice() {
        ["oauth", "v2", "private-apps", "get", "access-token-info"] => {
            (Area::TokenInfo, Version::Old, &[][..])
        }
        ["account-info", "v3", rest @ ..] => (Area::Account, Version::Old, rest),
        ["account-info", version, rest @ ..] => (Area::Account, Version::dated(version)?, rest),
        ["crm", old @ ("v3" | "v4"), api, rest @ ..] => old_style(old, api, rest)?,
        ["crm", api, version, rest @ ..] => {
            let (area, rest) = area(api, rest)?;
            (area, Version::dated(version)?, rest)
        }
        _ => return None,
    };
    Some(Route { area, version, rest: rest.iter().map(|s| (*s).to_owned()).collect() })
}

fn old_style<'a, 'b>(
    version: &str,
    api: &str,
    rest: &'a [&'b str],
) -> Option<(Area, Version, &'a [&'b str])> {
    let is_association = api == "associations" || rest.get(2) == Some(&"associations");
    if (version == "v4") != is_association {
        return None;
    }
    area(api, rest).map(|(area, rest)| (area, Version::Old, rest))
}

fn area<'a, 'b>(api: &str, rest: &'a [&'b str]) -> Option<(Area, &'a [&'b str])> {
    let own = |word: &&str| (*word).to_owned();
    match (api, rest) {
        ("objects", [kind, rest @ ..]) => Some((Area::Objects(own(kind)), rest)),
        ("properties", [kind, rest @ ..]) => Some((Area::Properties(own(kind)), rest)),
        ("pipelines", [kind, rest @ ..]) => Some((Area::Pipelines(own(kind)), rest)),
        ("associations", [from, to, rest @ ..]) => {
            Some((Area::Associations(own(from), own(to)), rest))
        }
        ("owners", rest) => Some((Area::Owners, rest)),
        _ => None,
    }
}

impl Route {
    pub(crate) fn words(&self) -> Vec<&str> {
        self.rest.iter().map(String::as_str).collect()
    }

    pub(crate) fn is_search(&self, method: &Method) -> bool {
        method == Method::POST
            && matches!(self.area, Area::Objects(_))
            && self.words().as_slice() == ["search"]
    }

    /// Whether the call changes anything.
    pub(crate) fn is_write(&self, method: &Method) -> bool {
        let reads = matches!(self.words().last(), Some(&("read" | "search")));
        method != Method::GET && !reads && self.area != Area::TokenInfo
    }

    /// Returns all scopes that the call needs.
    pub(crate) fn scopes(&self, method: &Method) -> Vec<String> {
        let act = if self.is_write(method) { "write" } else { "read" };
        let of = |word: &str| Kind::parse(word).map(|k| k.object_scope(act));
        let words = self.words();
        let (near, far) = match (&self.area, words.as_slice()) {
            (Area::Owners, _) => (Some("crm.objects.owners.read".into()), None),
            (Area::Properties(kind), _) => (Kind::parse(kind).map(|k| k.schema_scope(act)), None),
            (Area::Associations(from, to), _) => (of(from), of(to)),
            (Area::Objects(kind), [_, "associations", "default", to, ..]) => (of(kind), of(to)),
            (Area::Objects(kind), [_, "associations", to, ..]) => (of(kind), of(to)),
            (Area::Objects(kind) | Area::Pipelines(kind), _) => (of(kind), None),
            (Area::Account | Area::TokenInfo, _) => (None, None),
        };
        near.into_iter().chain(far).collect()
    }
}

fn percent_decoded(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = segment.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_lead_to_the_same_place_and_other_versions_nowhere() {
        let dated = parse("/crm/objects/2026-09/contacts/batch/upsert").unwrap();
        let old = parse("/crm/v3/objects/contacts/batch/upsert").unwrap();
        assert_eq!((&dated.area, &dated.rest), (&old.area, &old.rest));
        assert_eq!((dated.version, old.version), (Version::September, Version::Old));
        assert!(parse("/crm/objects/2026-05/contacts").is_none());
        assert!(parse("/crm/v4/objects/contacts/1").is_none());
        assert!(parse("/crm/v4/objects/contacts/1/associations/companies").is_some());
        assert_eq!(percent_decoded("ann%40example.com"), "ann@example.com");
    }
}
