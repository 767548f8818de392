//! Numbers, currencies and booleans.

use std::str::FromStr;

use iso_currency::Currency;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{Invalid, text};

/// The most digits before the point, and for integers altogether: what a double holds exactly.
const MAX_WHOLE_DIGITS: usize = 15;
/// The most digits after the point.
const MAX_SCALE: usize = 10;

/// A plain decimal number. Text keeps its scale (`1500.00`); exponents are refused.
/// A JSON number has no scale to keep and comes out as short as it is (`1500`).
pub(super) fn decimal(value: &Value) -> Result<String, Invalid> {
    let invalid = || {
        let reason = "must be a decimal number such as 1500.00, at most 15 digits before the point \
                      and 10 after it";
        Invalid::new("invalid_decimal", reason)
    };
    let number = match value {
        Value::Number(number) => {
            let plain = number.to_string();
            let parsed = Decimal::from_str(&plain).or_else(|_| Decimal::from_scientific(&plain));
            parsed.map_err(|_| invalid())?.normalize().to_string()
        }
        Value::String(text) => text.trim().to_owned(),
        _ => return Err(Invalid::wrong_type("a number, or a string that holds one")),
    };
    if !is_plain(&number) {
        return Err(invalid());
    }
    let parsed = Decimal::from_str(&number).map_err(|_| invalid())?;
    let sign = if parsed.is_sign_negative() && !parsed.is_zero() { "-" } else { "" };
    Ok(format!("{sign}{}", parsed.abs()))
}

fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str, max: usize| {
        (1..=max).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    all_digits(whole, MAX_WHOLE_DIGITS) && all_digits(fraction, MAX_SCALE)
}

/// A whole number of at most 15 digits.
pub(super) fn integer(value: &Value) -> Result<String, Invalid> {
    let invalid = || Invalid::new("invalid_integer", "must be a whole number of at most 15 digits");
    let number = decimal(value).map_err(|error| match error.code {
        "wrong_type" => Invalid::wrong_type("a whole number, or a string that holds one"),
        _ => invalid(),
    })?;
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if fraction.bytes().any(|b| b != b'0') {
        return Err(invalid());
    }
    Ok(whole.to_owned())
}

/// An ISO 4217 code in upper case.
pub(super) fn currency(text: &str) -> Result<String, Invalid> {
    let code = text.to_ascii_uppercase();
    match Currency::from_code(&code) {
        Some(_) => Ok(code),
        None => Err(Invalid::new("invalid_currency", "must be an ISO 4217 code, such as EUR")),
    }
}

/// `true` or `false`, as JSON or as text.
pub(super) fn boolean(value: &Value) -> Result<String, Invalid> {
    if let Value::Bool(truth) = value {
        return Ok(truth.to_string());
    }
    match text::only(value).map(str::to_ascii_lowercase).as_deref() {
        Ok(truth @ ("true" | "false")) => Ok(truth.to_owned()),
        Ok(_) => Err(Invalid::new("invalid_boolean", "must be true or false")),
        Err(_) => Err(Invalid::wrong_type("true or false")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            json!(1e-30),
            json!("9999999999999999"),
            json!("0.12345678901"),
            json!(u64::MAX),
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
        assert_eq!(boolean(&json!("yes")).unwrap_err().code, "invalid_boolean");
        assert_eq!(boolean(&json!(1)).unwrap_err().code, "wrong_type");
    }
}
