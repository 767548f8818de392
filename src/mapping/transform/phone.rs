//! Converts phone numbers to E.164, the form that HubSpot, dialers and search understand.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};
use serde_json::{Map, Value};

use super::{Invalid, place, text};
use crate::mapping::pointer::{Found, Pointer};

/// The longest text that is read, in bytes. No phone number is longer in any notation.
const MAX_BYTES: usize = 64;

/// Determines the country of a number without `+`.
#[derive(Debug, Clone)]
pub(crate) struct PhoneRule {
    /// Places in the data that may contain a country. The first usable one counts.
    pub(crate) countries: Vec<Pointer>,
    /// The region to use when none of these places has one.
    pub(crate) default: Region,
}

impl PhoneRule {
    pub(super) fn apply(
        &self,
        value: &Value,
        data: &Map<String, Value>,
    ) -> Result<String, Invalid> {
        let sent = text::of(value)?;
        let sent = text::trim(&sent);
        let region = self.region(data);
        let national = dialled(sent, region);
        // A JSON number cannot begin with + or 0, so such a number may already be international.
        let number = national
            .or_else(|| value.is_number().then(|| dialled(&format!("+{sent}"), None)).flatten())
            .ok_or_else(|| {
                let reason = match region {
                    Some(_) => "must be a phone number that can be dialled",
                    None => "must begin with + and the country's digits: no country is known",
                };
                Invalid::new("invalid_phone", reason)
            })?;
        let plain = number.format_as(PhoneNumberFormat::E164);
        Ok(match number.extension() {
            "" => plain.into_owned(),
            extension => format!("{plain} ext {extension}"),
        })
    }

    /// Returns the region of the number. Returns none if the data names an unknown country, because
    /// any other region would be a guess.
    fn region(&self, data: &Map<String, Value>) -> Option<Region> {
        let named = self.countries.iter().filter(|pointer| pointer.holds(data));
        let regions: Vec<Option<Region>> = named
            .map(|pointer| match pointer.find(data) {
                Found::Value(Value::String(country)) => place::region(country),
                _ => None,
            })
            .collect();
        match regions.iter().flatten().next() {
            Some(region) => Some(*region),
            None => regions.is_empty().then_some(self.default),
        }
    }
}

/// Returns the number if it can be dialled. Without a region, only an international number can.
fn dialled(text: &str, region: Option<Region>) -> Option<PhoneNumber> {
    let number = (text.len() <= MAX_BYTES).then(|| PHONE_NUMBER_UTIL.parse(text, region))?.ok()?;
    number.is_valid().then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn phone(text: &str, data: Value) -> Result<String, &'static str> {
        let countries = ["/country", "/address/country"];
        let countries = countries.map(|text| Pointer::parse(text).unwrap()).to_vec();
        let rule = PhoneRule { countries, default: Region::FR };
        rule.apply(&text.into(), data.as_object().unwrap()).map_err(|invalid| invalid.code)
    }

    #[test]
    fn numbers_become_e164() {
        for (sent, data, kept) in [
            ("06 12 34 56 78", json!({"country": "FR"}), "+33612345678"),
            ("06.12.34.56.78", json!({}), "+33612345678"),
            ("+33 (0)6 12 34 56 78", json!({"country": "US"}), "+33612345678"),
            ("020 7183 8750", json!({"country": "United Kingdom"}), "+442071838750"),
            ("(202) 555-0173", json!({"address": {"country": "USA"}}), "+12025550173"),
            (
                "06 12 34 56 78",
                json!({"country": " ", "address": {"country": null}}),
                "+33612345678",
            ),
            ("06 12345678", json!({"country": "Nederland"}), "+31612345678"),
            ("06 12345678", json!({"country": "?", "address": {"country": "NL"}}), "+31612345678"),
            ("+31 6 12345678", json!({"country": "Atlantis"}), "+31612345678"),
            ("020 7183 8750 ext. 12", json!({"country": "UK"}), "+442071838750 ext 12"),
            ("+33 1 42 34 56 78 x9", json!({}), "+33142345678 ext 9"),
            ("tel:+1-650-253-0000;ext=77", json!({}), "+16502530000 ext 77"),
        ] {
            assert_eq!(phone(sent, data).as_deref(), Ok(kept), "{sent}");
        }
    }

    #[test]
    fn a_json_number_is_national_or_international() {
        let rule = PhoneRule { countries: Vec::new(), default: Region::FR };
        for (sent, kept) in [
            (json!(612_345_678), "+33612345678"),
            (json!(33_612_345_678_u64), "+33612345678"),
            (json!(12_025_550_173_u64), "+12025550173"),
            (json!(4_915_112_345_678_u64), "+4915112345678"),
        ] {
            assert_eq!(rule.apply(&sent, &Map::new()).as_deref(), Ok(kept), "{sent}");
        }
        assert!(rule.apply(&json!(1.5), &Map::new()).is_err());
        assert_eq!(rule.apply(&json!(true), &Map::new()).unwrap_err().code, "wrong_type");
    }

    #[test]
    fn no_country_is_guessed_against_one_that_is_named() {
        for country in [json!("Atlantis"), json!(7), json!("Bouvet Island"), json!(["FR"])] {
            let found = phone("06 12 34 56 78", json!({ "country": country }));
            assert_eq!(found, Err("invalid_phone"), "{country}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["call me", "12", "+999123", "0612345678901234567890", &"1".repeat(100)] {
            assert_eq!(phone(text, json!({})), Err("invalid_phone"), "{text}");
        }
    }
}
