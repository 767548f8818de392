//! Countries: code or English name in, English name, code or phone region out.

use celes::Country;
use rlibphonenumber::Region;

use super::Invalid;

/// The longest official name has 56 characters.
const MAX_BYTES: usize = 80;

/// The names in common use, where the list of the standard words them for sorting.
const NAMES: [(&str, &str); 55] = [
    ("AE", "United Arab Emirates"),
    ("AG", "Antigua and Barbuda"),
    ("BA", "Bosnia and Herzegovina"),
    ("BL", "Saint Barthélemy"),
    ("BN", "Brunei"),
    ("BS", "Bahamas"),
    ("CC", "Cocos (Keeling) Islands"),
    ("CD", "Democratic Republic of the Congo"),
    ("CF", "Central African Republic"),
    ("CG", "Congo"),
    ("CK", "Cook Islands"),
    ("DO", "Dominican Republic"),
    ("FK", "Falkland Islands"),
    ("FM", "Micronesia"),
    ("FO", "Faroe Islands"),
    ("GB", "United Kingdom"),
    ("GM", "Gambia"),
    ("GS", "South Georgia and the South Sandwich Islands"),
    ("HM", "Heard Island and McDonald Islands"),
    ("IR", "Iran"),
    ("KM", "Comoros"),
    ("KN", "Saint Kitts and Nevis"),
    ("KP", "North Korea"),
    ("KR", "South Korea"),
    ("KY", "Cayman Islands"),
    ("LA", "Laos"),
    ("MD", "Moldova"),
    ("MF", "Saint Martin"),
    ("MH", "Marshall Islands"),
    ("MK", "North Macedonia"),
    ("MP", "Northern Mariana Islands"),
    ("NE", "Niger"),
    ("NL", "Netherlands"),
    ("PH", "Philippines"),
    ("PM", "Saint Pierre and Miquelon"),
    ("PS", "Palestine"),
    ("RU", "Russia"),
    ("SD", "Sudan"),
    ("SH", "Saint Helena, Ascension and Tristan da Cunha"),
    ("SJ", "Svalbard and Jan Mayen"),
    ("ST", "Sao Tome and Principe"),
    ("SX", "Sint Maarten"),
    ("SY", "Syria"),
    ("TC", "Turks and Caicos Islands"),
    ("TF", "French Southern Territories"),
    ("TT", "Trinidad and Tobago"),
    ("TW", "Taiwan"),
    ("TZ", "Tanzania"),
    ("UM", "United States Minor Outlying Islands"),
    ("US", "United States"),
    ("VA", "Vatican City"),
    ("VC", "Saint Vincent and the Grenadines"),
    ("VE", "Venezuela"),
    ("WF", "Wallis and Futuna"),
    ("VI", "U.S. Virgin Islands"),
];

/// The English name.
pub(super) fn name(text: &str) -> Result<String, Invalid> {
    let country = find(text)?;
    let common = NAMES.iter().find(|(code, _)| *code == country.alpha2);
    Ok(common.map_or(country.long_name, |(_, name)| name).to_owned())
}

/// The two-letter code.
pub(super) fn code(text: &str) -> Result<String, Invalid> {
    find(text).map(|country| country.alpha2.to_owned())
}

/// The phone region, if the text is a country.
pub(crate) fn region(text: &str) -> Option<Region> {
    Region::from_code(find(text.trim()).ok()?.alpha2).ok()
}

fn find(text: &str) -> Result<Country, Invalid> {
    known(text).ok_or_else(|| {
        let reason = "must be a country: its ISO 3166 code, such as FR, or its English name";
        Invalid::new("invalid_country", reason)
    })
}

fn known(text: &str) -> Option<Country> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let is_code = text.bytes().all(|b| b.is_ascii_alphabetic());
    match text.len() {
        2 if text.eq_ignore_ascii_case("uk") => Country::from_alpha2("gb").ok(),
        2 if is_code => Country::from_alpha2(text).ok(),
        3 if is_code => Country::from_alpha3(text).ok(),
        _ => by_name(text),
    }
}

fn by_name(text: &str) -> Option<Country> {
    if let Some((code, _)) = NAMES.iter().find(|(_, name)| letters(name) == letters(text)) {
        return Country::from_alpha2(code).ok();
    }
    let plain = letters(text);
    Country::from_name(&plain)
        .or_else(|_| Country::from_alias(&plain))
        .or_else(|_| Country::from_name(format!("the{plain}")))
        .ok()
}

/// Letters alone, in lower case: spaces, hyphens and points differ from one sender to the next.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_by_code_and_by_name() {
        for (sent, alpha2, english) in [
            ("FR", "FR", "France"),
            ("fra", "FR", "France"),
            ("france", "FR", "France"),
            ("usa", "US", "United States"),
            ("United States of America", "US", "United States"),
            ("UK", "GB", "United Kingdom"),
            ("united kingdom", "GB", "United Kingdom"),
            ("Netherlands", "NL", "Netherlands"),
            ("The Netherlands", "NL", "Netherlands"),
            ("South Korea", "KR", "South Korea"),
            ("Guinea-Bissau", "GW", "Guinea Bissau"),
        ] {
            assert_eq!(name(sent).as_deref(), Ok(english), "{sent}");
            assert_eq!(code(sent).as_deref(), Ok(alpha2), "{sent}");
        }
        assert_eq!(region("France"), Some(Region::FR));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["XX", "ZZZ", "Atlantis", "250", "F1", "é", &"x".repeat(100)] {
            assert_eq!(name(text).unwrap_err().code, "invalid_country", "{text}");
        }
    }

    #[test]
    fn every_common_name_belongs_to_a_country() {
        for (code, common) in NAMES {
            assert_eq!(name(code).as_deref(), Ok(common));
            assert_eq!(name(common).as_deref(), Ok(common));
        }
    }
}
