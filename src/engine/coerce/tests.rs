//! Tests which values each property type accepts.

use chrono_tz::Tz;

use crate::engine::coerce::choice::*;
use crate::engine::coerce::outcome::*;
use crate::engine::coerce::value::*;
use crate::hubspot::definitions::{Choice, Property};

fn definition(property_type: &str, field_type: &str, options: &[(&str, &str)]) -> Property {
    let options = options
        .iter()
        .map(|(value, label)| Choice { value: (*value).into(), label: (*label).into() });
    Property {
        property_type: property_type.into(),
        field_type: field_type.into(),
        options: options.collect(),
        ..Property::default()
    }
}

/// Returns what is sent, and the code of the note.
fn told(definition: &Property, value: &str) -> (Option<String>, &'static str) {
    match coerce(definition, value, chrono_tz::America::Los_Angeles) {
        Value::Unchanged => (Some(value.to_owned()), ""),
        Value::Changed(sent, note) => (Some(sent), note.map_or("", |note| note.code)),
        Value::Invalid(note) => {
            assert!(!note.hint.is_empty() && !note.message.contains(value), "{note:?}");
            (None, note.code)
        }
    }
}

const COLOURS: [(&str, &str); 4] =
    [("red", "Rouge"), ("dark_red", "Rouge foncé"), ("BLUE", "Bleu"), ("blue", "Bleu clair")];

#[test]
fn each_type_takes_what_it_takes_and_nothing_else() {
    let select = definition("enumeration", "select", &COLOURS);
    let check = definition("enumeration", "checkbox", &COLOURS);
    let yes = definition("bool", "booleancheckbox", &[("true", "Yes"), ("false", "No")]);
    let number = definition("number", "number", &[]);
    let date = definition("date", "date", &[]);
    let datetime = definition("datetime", "date", &[]);
    let cases: [(&Property, &str, Option<&str>, &str); 60] = [
        (&select, "red", Some("red"), ""),
        (&select, "RED", Some("red"), ""),
        (&select, " red ", Some("red"), ""),
        (&select, "rouge FONCÉ", Some("dark_red"), ""),
        (&select, "BLUE", Some("BLUE"), ""),
        (&select, "Blue", None, "INVALID_OPTION"),
        (&select, "bleu clair", Some("blue"), ""),
        (&select, "green", None, "INVALID_OPTION"),
        (&select, "", Some(""), ""),
        (&check, "red;Rouge foncé", Some("red;dark_red"), ""),
        (&check, ";red", Some(";red"), ""),
        (&check, "red;green", Some("red"), "INVALID_OPTION"),
        (&check, "green;mauve", None, "INVALID_OPTION"),
        (&definition("enumeration", "select", &[]), "7741", Some("7741"), ""),
        (&yes, "true", Some("true"), ""),
        (&yes, "TRUE", Some("true"), ""),
        (&yes, "no", Some("false"), ""),
        (&yes, "maybe", None, "INVALID_BOOLEAN"),
        (&definition("bool", "booleancheckbox", &[]), "False", Some("false"), ""),
        (&number, "1234.50", Some("1234.50"), ""),
        (&number, "-3", Some("-3"), ""),
        (&number, " 12 ", Some("12"), ""),
        (&number, "1,5", None, "INVALID_NUMBER"),
        (&number, "1.2.3", None, "INVALID_NUMBER"),
        (&number, "1e5", None, "INVALID_NUMBER"),
        (&number, ".", None, "INVALID_NUMBER"),
        (&number, "twelve", None, "INVALID_NUMBER"),
        (&date, "2026-10-01", Some("2026-10-01"), ""),
        (&date, "2026-10-01T00:00:00Z", Some("2026-10-01"), ""),
        (&date, "2026-10-01T10:00:00Z", Some("2026-10-01"), "TIME_CUT"),
        (&date, "1790812800000", Some("2026-10-01"), ""),
        (&date, "2026-02-30", None, "INVALID_DATE"),
        (&date, "soon", None, "INVALID_DATE"),
        (&datetime, "2026-10-01T10:00:00.000Z", Some("2026-10-01T10:00:00.000Z"), ""),
        (&datetime, "2026-10-01T10:00:00+02:00", Some("2026-10-01T10:00:00+02:00"), ""),
        (&datetime, "1790812800000", Some("1790812800000"), ""),
        (&datetime, "2026-10-01", Some("2026-10-01T07:00:00.000Z"), ""),
        (&datetime, " 2026-12-01 ", Some("2026-12-01T08:00:00.000Z"), ""),
        (&datetime, "19900515", None, "INVALID_DATE"),
        (&datetime, "1990", None, "INVALID_DATE"),
        (&date, "2026-10-01T06:30:00Z", Some("2026-09-30"), "TIME_CUT"),
        (&date, "2026-10-01T00:00:00-07:00", Some("2026-10-01"), ""),
        (&date, "19900515", None, "INVALID_DATE"),
        (&date, "642729600", None, "INVALID_DATE"),
        (&date, "1990", None, "INVALID_DATE"),
        (&date, "90-05-15", None, "INVALID_DATE"),
        (&date, "0", None, "INVALID_DATE"),
        (&yes, "1", Some("true"), ""),
        (&yes, "f", Some("false"), ""),
        (&definition("bool", "booleancheckbox", &[]), "on", Some("true"), ""),
        (
            &definition("enumeration", "booleancheckbox", &[("true", "Yes"), ("false", "No")]),
            "0",
            Some("false"),
            "",
        ),
        (
            &definition("enumeration", "booleancheckbox", &[("J", "Ja"), ("N", "Nein")]),
            "1",
            None,
            "INVALID_BOOLEAN",
        ),
        (&check, "red,blue", Some("red;blue"), ""),
        (&check, "red | Rouge foncé", Some("red;dark_red"), ""),
        (&check, "red;red,Red", Some("red"), ""),
        (&check, "red,mauve", Some("red"), "INVALID_OPTION"),
        (&datetime, "tomorrow", None, "INVALID_DATE"),
        (&definition("string", "text", &[]), "any text", Some("any text"), ""),
        (&definition("phone_number", "phonenumber", &[]), "+33", Some("+33"), ""),
        (&definition("json", "text", &[]), "{", Some("{"), ""),
    ];
    for (definition, value, sent, code) in cases {
        let expected = (sent.map(str::to_owned), code);
        assert_eq!(told(definition, value), expected, "{value:?} as {definition:?}");
    }
}

#[test]
fn a_read_only_property_takes_nothing_not_even_to_be_cleared() {
    let fixed = Property { read_only: true, ..definition("string", "text", &[]) };
    for value in ["text", ""] {
        assert!(
            matches!(coerce(&fixed, value, Tz::UTC), Value::Invalid(n) if n.code == "READ_ONLY_VALUE")
        );
    }
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let text = definition("string", "textarea", &[]);
    let longest = "é".repeat(LONGEST);
    assert_eq!(told(&text, &longest), (Some(longest.clone()), ""));
    assert_eq!(told(&text, &format!("{longest}é")), (Some(longest), "TRUNCATED"));
}

#[test]
fn a_hint_lists_ten_options_at_most() {
    let names: Vec<String> = (0..14).map(|n| format!("option-{n}")).collect();
    let options: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), n.as_str())).collect();
    let many = definition("enumeration", "select", &options);
    let Value::Invalid(note) = coerce(&many, "other", Tz::UTC) else { panic!("it fits") };
    assert!(note.hint.contains("option-9 and 4 more"), "{}", note.hint);
    assert!(!note.hint.contains("option-10"), "{}", note.hint);
}

#[test]
fn going_back_is_told_by_the_order_of_the_options() {
    let stages = definition("enumeration", "radio", &[("lead", "Lead"), ("customer", "Kunde")]);
    for (from, to, back) in [
        ("customer", "lead", true),
        ("Kunde", "LEAD", true),
        ("lead", "customer", false),
        ("lead", "lead", false),
        ("", "lead", false),
        ("customer", "", false),
        ("unknown", "lead", false),
    ] {
        assert_eq!(goes_back(&stages.options, from, to), back, "{from} {to}");
    }
}

#[test]
fn a_day_begins_in_the_accounts_zone() {
    let datetime = definition("datetime", "date", &[]);
    for (day, zone, sent) in [
        ("2025-01-31", Tz::UTC, "2025-01-31T00:00:00.000Z"),
        ("2025-01-31", chrono_tz::America::Los_Angeles, "2025-01-31T08:00:00.000Z"),
        ("2025-01-31", chrono_tz::Asia::Tokyo, "2025-01-30T15:00:00.000Z"),
        ("2025-01-31", chrono_tz::Pacific::Kiritimati, "2025-01-30T10:00:00.000Z"),
        // Clocks moved from 23:59:59 to 01:00 that night.
        ("2018-11-04", chrono_tz::America::Sao_Paulo, "2018-11-04T03:00:00.000Z"),
    ] {
        assert_eq!(coerce(&datetime, day, zone), Value::Changed(sent.into(), None), "{day} {zone}");
    }
}

#[test]
fn options_are_known_by_label_case_and_punctuation() {
    /// Options with their labels, what is sent, what it means.
    type Row = (Vec<(String, String)>, String, Option<String>);
    let rows: Vec<Row> = include_str!("../../../tests/fixtures/options.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut tried = 0;
    for (options, value, wanted) in rows {
        let options: Vec<(&str, &str)> =
            options.iter().map(|(value, label)| (value.as_str(), label.as_str())).collect();
        let several = definition("enumeration", "checkbox", &options);
        let one = definition("enumeration", "select", &options);
        let definition =
            if wanted.as_ref().is_some_and(|w| w.contains(';')) { several } else { one };
        let found = match coerce(&definition, &value, Tz::UTC) {
            Value::Unchanged => Some(value.clone()),
            Value::Changed(sent, _) => Some(sent),
            Value::Invalid(_) => None,
        };
        assert_eq!(found, wanted, "{value:?} of {options:?}");
        tried += 1;
    }
    assert!(tried >= 100, "{tried}");
}
