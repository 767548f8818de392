//! Phone numbers, to E.164: what HubSpot, dialers and search agree on.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use serde_json::{Map, Value};

use super::{Invalid, place};
use crate::mapping::pointer::{Found, Pointer};

/// No number in any notation is longer.
const MAX_BYTES: usize = 64;

/// Where a number without `+` is from.
#[derive(Debug, Clone)]
pub(crate) struct PhoneRule {
    /// Places in the data that may hold a country; the first usable one counts.
    pub(crate) countries: Vec<Pointer>,
    /// The region when none does.
    pub(crate) default: Region,
}

impl PhoneRule {
    pub(super) fn apply(&self, text: &str, data: &Map<String, Value>) -> Result<String, Invalid> {
        let invalid =
            || Invalid::new("invalid_phone", "must be a phone number that can be dialled");
        if text.len() > MAX_BYTES {
            return Err(invalid());
        }
        let number =
            PHONE_NUMBER_UTIL.parse(text, Some(self.region(data))).map_err(|_| invalid())?;
        if !number.is_valid() {
            return Err(invalid());
        }
        Ok(number.format_as(PhoneNumberFormat::E164).into_owned())
    }

    fn region(&self, data: &Map<String, Value>) -> Region {
        let regions = self.countries.iter().filter_map(|pointer| match pointer.find(data) {
            Found::Value(Value::String(country)) => place::region(country),
            _ => None,
        });
        regions.into_iter().next().unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn phone(text: &str, data: Value) -> Result<String, &'static str> {
        let countries = ["/country", "/address/country"];
        let countries = countries.map(|text| Pointer::parse(text).unwrap()).to_vec();
        let rule = PhoneRule { countries, default: Region::FR };
        rule.apply(text, data.as_object().unwrap()).map_err(|invalid| invalid.code)
    }

    #[test]
    fn numbers_become_e164() {
        for (sent, data, kept) in [
            ("06 12 34 56 78", json!({"country": "FR"}), "+33612345678"),
            ("06.12.34.56.78", json!({}), "+33612345678"),
            ("+33 (0)6 12 34 56 78", json!({"country": "US"}), "+33612345678"),
            ("020 7183 8750", json!({"country": "United Kingdom"}), "+442071838750"),
            ("(202) 555-0173", json!({"address": {"country": "USA"}}), "+12025550173"),
            ("06 12 34 56 78", json!({"country": "Atlantis"}), "+33612345678"),
            ("06 12 34 56 78", json!({"country": 7, "address": "x"}), "+33612345678"),
        ] {
            assert_eq!(phone(sent, data).as_deref(), Ok(kept), "{sent}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["call me", "12", "+999123", "0612345678901234567890", &"1".repeat(100)] {
            assert_eq!(phone(text, json!({})), Err("invalid_phone"), "{text}");
        }
    }
}
