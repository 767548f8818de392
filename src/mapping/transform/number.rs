//! Numbers, currencies and booleans.

use std::str::FromStr;

use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Value};

use super::{Invalid, text};
use crate::mapping::pointer::{Found, Pointer};

/// The most digits before the decimal point, and of an integer: a double stores these exactly.
const MAX_WHOLE_DIGITS: u32 = 15;
/// The most digits after the decimal point that are kept.
const MAX_SCALE: u32 = 10;
/// The most digits after the decimal point that are read.
const MAX_FRACTION: usize = 100;

/// How many digits after the decimal point a number keeps.
#[derive(Debug, Clone, Default)]
pub(crate) struct DecimalRule {
    /// Places in the data that may contain the currency. The first known one counts.
    pub(crate) currencies: Vec<Pointer>,
}

impl DecimalRule {
    /// Returns the number, rounded to the digits of its currency.
    pub(super) fn apply(
        &self,
        value: &Value,
        data: &Map<String, Value>,
    ) -> Result<String, Invalid> {
        let currencies = self.currencies.iter().filter_map(|pointer| match pointer.find(data) {
            Found::Value(Value::String(code)) => known(text::trim(code)),
            _ => None,
        });
        let digits = currencies.into_iter().find_map(|currency| currency.exponent());
        rounded(value, digits.map_or(MAX_SCALE, u32::from))
    }
}

/// Returns a plain decimal number with at most `digits` after the decimal point. Text keeps its
/// own, shorter scale (`1500.00`); exponents are refused. A JSON number has no scale and becomes as
/// short as possible (`1500`). Rounding removes errors of floating point arithmetic.
fn rounded(value: &Value, digits: u32) -> Result<String, Invalid> {
    let invalid = || {
        let reason = "must be a decimal number such as 1500.00, at most 15 digits before the point";
        Invalid::new("invalid_decimal", reason)
    };
    let number = match value {
        Value::Number(number) => json(number).ok_or_else(invalid)?,
        Value::String(text) => {
            let text = text::trim(text);
            let plain = is_plain(text).then(|| Decimal::from_str(text));
            plain.and_then(Result::ok).ok_or_else(invalid)?
        }
        _ => return Err(Invalid::wrong_type("a number, or a string that holds one")),
    };
    let mut number = number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    if value.is_number() {
        number = number.normalize();
    }
    if number.trunc().abs() >= Decimal::from(10_u64.pow(MAX_WHOLE_DIGITS)) {
        return Err(invalid());
    }
    let sign = if number.is_sign_negative() && !number.is_zero() { "-" } else { "" };
    Ok(format!("{sign}{}", number.abs()))
}

fn json(number: &serde_json::Number) -> Option<Decimal> {
    let plain = number.to_string();
    let parsed = Decimal::from_str(&plain).or_else(|_| Decimal::from_scientific(&plain));
    let nearly_none = || number.as_f64().filter(|number| number.abs() < 1e-15);
    parsed.ok().or_else(|| nearly_none().map(|_| Decimal::ZERO))
}

fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| {
        (1..=MAX_FRACTION).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    all_digits(whole) && all_digits(fraction)
}

/// Returns a whole number of at most 15 digits.
pub(super) fn integer(value: &Value) -> Result<String, Invalid> {
    let invalid = || Invalid::new("invalid_integer", "must be a whole number of at most 15 digits");
    let number = rounded(value, MAX_SCALE).map_err(|error| match error.code {
        "wrong_type" => Invalid::wrong_type("a whole number, or a string that holds one"),
        _ => invalid(),
    })?;
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if fraction.bytes().any(|b| b != b'0') {
        return Err(invalid());
    }
    Ok(whole.to_owned())
}

/// Returns an ISO 4217 code in upper case.
pub(super) fn currency(text: &str) -> Result<String, Invalid> {
    match known(text) {
        Some(currency) => Ok(currency.code().to_owned()),
        None => Err(Invalid::new("invalid_currency", "must be an ISO 4217 code, such as EUR")),
    }
}

fn known(code: &str) -> Option<Currency> {
    Currency::from_code(&code.to_ascii_uppercase())
}

/// Returns `true` or `false` from the values that forms and databases send.
pub(super) fn boolean(value: &Value) -> Result<String, Invalid> {
    let invalid = || Invalid::new("invalid_boolean", "must be true or false, 1 or 0, yes or no");
    if let Value::Bool(truth) = value {
        return Ok(truth.to_string());
    }
    let text = match value {
        Value::Number(_) => rounded(value, MAX_SCALE).map_err(|_| invalid())?,
        _ => text::only(value).map_err(|_| Invalid::wrong_type("true or false"))?.to_owned(),
    };
    truth(&text).map(|truth| truth.to_string()).ok_or_else(invalid)
}

/// Reads a word that means true or false.
#[must_use]
pub fn truth(word: &str) -> Option<bool> {
    match text::trim(word).to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decimal(value: &Value) -> Result<String, Invalid> {
        DecimalRule::default().apply(value, &Map::new())
    }

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        let currencies = vec![Pointer::parse("/currency").unwrap()];
        let rule = DecimalRule { currencies };
        for (sent, currency, kept) in [
            (json!(0.30000000000000004), "EUR", "0.3"),
            (json!(33.333333333333336), "EUR", "33.33"),
            (json!(1.005), "usd", "1.01"),
            (json!(-2.675), "EUR", "-2.68"),
            (json!("1500.00"), "EUR", "1500.00"),
            (json!("1500.5"), "EUR", "1500.5"),
            (json!(999.5), "JPY", "1000"),
            (json!("1000.40"), "JPY", "1000"),
            (json!("1.2345"), "KWD", "1.235"),
            (json!(1.2345), "BHD", "1.235"),
            (json!(0.123456789012), "none", "0.123456789"),
            (json!(-0.001), "EUR", "0"),
        ] {
            let data = json!({ "currency": currency });
            let found = rule.apply(&sent, data.as_object().unwrap());
            assert_eq!(found.as_deref(), Ok(kept), "{sent} {currency}");
        }
    }

    #[test]
    fn decimals_keep_the_scale_they_were_sent_with() {
        for (sent, kept) in [
            (json!("1500.00"), "1500.00"),
            (json!(" 0012.5 "), "12.5"),
            (json!("-3.10"), "-3.10"),
            (json!("-0.00"), "0.00"),
            (json!(1500), "1500"),
            (json!(1500.0), "1500"),
            (json!(0.75), "0.75"),
            (json!(1e3), "1000"),
            (json!(1e-7), "0.0000001"),
            (json!(-7), "-7"),
            (json!(1e-30), "0"),
            (json!(0.1 + 0.2), "0.3"),
            (json!(0.3333333333333333), "0.3333333333"),
            (json!("0.12345678901"), "0.1234567890"),
        ] {
            assert_eq!(decimal(&sent).as_deref(), Ok(kept), "{sent}");
        }
        for sent in [
            json!("twelve"),
            json!("1,500.00"),
            json!("1e3"),
            json!("NaN"),
            json!("+5"),
            json!(".5"),
            json!("5."),
            json!("1.2.3"),
            json!("--1"),
            json!("-"),
            json!(1e300),
            json!("9999999999999999"),
            json!(u64::MAX),
            json!("9".repeat(60)),
            json!("١٢"),
        ] {
            assert_eq!(decimal(&sent).unwrap_err().code, "invalid_decimal", "{sent}");
        }
    }

    #[test]
    fn integers() {
        for (sent, kept) in
            [(json!(12), "12"), (json!("12"), "12"), (json!(12.0), "12"), (json!("12.00"), "12")]
        {
            assert_eq!(integer(&sent).as_deref(), Ok(kept), "{sent}");
        }
        for sent in [json!(1.5), json!("1.5"), json!("a dozen"), json!(u64::MAX)] {
            assert_eq!(integer(&sent).unwrap_err().code, "invalid_integer", "{sent}");
        }
    }

    #[test]
    fn currencies_and_booleans() {
        assert_eq!(currency("eur").as_deref(), Ok("EUR"));
        for text in ["AAA", "EURO", "€", "1"] {
            assert_eq!(currency(text).unwrap_err().code, "invalid_currency", "{text}");
        }
        assert_eq!(boolean(&json!(true)).as_deref(), Ok("true"));
        assert_eq!(boolean(&json!("False")).as_deref(), Ok("false"));
        for sent in [json!(1), json!(1.0), json!("1"), json!("Yes"), json!(" t "), json!("ON")] {
            assert_eq!(boolean(&sent).as_deref(), Ok("true"), "{sent}");
        }
        for sent in [json!(0), json!(-0.0), json!("0"), json!("No"), json!("f"), json!("off")] {
            assert_eq!(boolean(&sent).as_deref(), Ok("false"), "{sent}");
        }
        for sent in [json!(2), json!(-1), json!("maybe"), json!("10"), json!(1e300)] {
            assert_eq!(boolean(&sent).unwrap_err().code, "invalid_boolean", "{sent}");
        }
        assert_eq!(boolean(&json!([true])).unwrap_err().code, "wrong_type");
    }
}
