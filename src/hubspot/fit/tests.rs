//! What each type of property takes.

use super::*;

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

/// What is sent, and the code of the note.
fn told(definition: &Property, value: &str) -> (Option<String>, &'static str) {
    match fit(definition, value) {
        Fitted::Keep => (Some(value.to_owned()), ""),
        Fitted::Changed(sent, note) => (Some(sent), note.map_or("", |note| note.code)),
        Fitted::Unfit(note) => {
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
    let cases: [(&Property, &str, Option<&str>, &str); 41] = [
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
        (&datetime, "2026-10-01", Some("2026-10-01"), ""),
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
        assert!(matches!(fit(&fixed, value), Fitted::Unfit(n) if n.code == "READ_ONLY_VALUE"));
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
    let Fitted::Unfit(note) = fit(&many, "other") else { panic!("it fits") };
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
