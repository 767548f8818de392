//! The path of each call: one function for each path, and one place for the version.
//!
//! In dated versions the version comes after the name of the API and before the object.

use std::fmt;
use std::str::FromStr;

/// A version of HubSpot's API, such as `2026-09` or `v3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let dated = text.len() == 7
            && text.char_indices().all(|(i, c)| if i == 4 { c == '-' } else { c.is_ascii_digit() });
        if dated || text == "v3" {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is no API version: use one such as 2026-09, or v3"))
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Version {
    fn is_v3(&self) -> bool {
        self.0 == "v3"
    }

    fn crm(&self, api: &str) -> String {
        if self.is_v3() { format!("/crm/v3/{api}") } else { format!("/crm/{api}/{self}") }
    }

    /// The path of an operation on a batch of objects: `upsert`, `update`, `read`, `archive`.
    #[must_use]
    pub fn batch(&self, plural: &str, operation: &str) -> String {
        format!("{}/{plural}/batch/{operation}", self.crm("objects"))
    }

    /// The path for erasing a contact permanently.
    #[must_use]
    pub fn gdpr_delete(&self, plural: &str) -> String {
        format!("{}/{plural}/gdpr-delete", self.crm("objects"))
    }

    /// The path of an operation on a batch of associations: `create`, `labels/archive`.
    #[must_use]
    pub fn associations(&self, from: &str, to: &str, operation: &str) -> String {
        if self.is_v3() {
            format!("/crm/v4/associations/{from}/{to}/batch/{operation}")
        } else {
            format!("/crm/associations/{self}/{from}/{to}/batch/{operation}")
        }
    }

    /// The path of an object type's property definitions.
    #[must_use]
    pub fn properties(&self, plural: &str) -> String {
        format!("{}/{plural}", self.crm("properties"))
    }

    /// The path of an object type's property groups.
    #[must_use]
    pub fn property_groups(&self, plural: &str) -> String {
        format!("{}/groups", self.properties(plural))
    }

    /// The path of an object type's pipelines.
    #[must_use]
    pub fn pipelines(&self, plural: &str) -> String {
        format!("{}/{plural}", self.crm("pipelines"))
    }

    /// The path of the account details.
    #[must_use]
    pub fn account(&self) -> String {
        format!("/account-info/{self}/details")
    }
}
