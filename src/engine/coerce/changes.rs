//! Coerces the changes of a record to the account's property definitions, so that HubSpot does not
//! refuse a whole call because of one value.
//!
//! If an optional property cannot take a value, the value is left out and its row gets a warning.
//! If a required property cannot take a value, the row fails before a call is spent on it. A
//! property that the account does not have is sent unchanged: HubSpot's answer closes the gate, so
//! nothing is dropped silently. A value from an earlier row is also sent unchanged, because that
//! row has ended and can no longer fail.

use std::collections::BTreeMap;

use crate::engine::coerce::choice::{goes_back, one_of};
use crate::engine::coerce::outcome::{Note, Value};
use crate::engine::coerce::value::{self, stray_stage};
use crate::engine::fold::{Folded, MappedRow};
use crate::hubspot::definitions::{Definitions, Property};
use crate::mapping::{Lifecycle, ObjectKind, Warning};
use crate::queue::model::{Reason, Record};

/// HubSpot ignores an earlier option of this property once a later option is set.
const LIFECYCLE: &str = "lifecyclestage";

/// What is sent to HubSpot for one record.
#[derive(Debug, Default)]
pub(crate) struct Coerced {
    /// Property -> value.
    pub(crate) properties: BTreeMap<String, String>,
    /// What was left out or altered, by the row that supplied the value.
    pub(crate) warnings: BTreeMap<i64, Vec<Warning>>,
    /// The property that must be cleared, in a call of its own, before anything else is sent.
    pub(crate) clear: Option<String>,
}

/// Where the values of a record come from.
pub(crate) struct Origin<'a> {
    pub(crate) object: &'a ObjectKind,
    pub(crate) record: &'a Record,
    pub(crate) rows: &'a [MappedRow],
    pub(crate) folded: &'a Folded,
}

impl Origin<'_> {
    /// The open row that supplied the value of `property`.
    fn row(&self, property: &str) -> Option<i64> {
        let row = self.folded.properties.get(property)?.stamp.row;
        self.rows.iter().any(|mapped| mapped.stamp.row == row).then_some(row)
    }

    /// Whether HubSpot holds a later lifecycle stage than `value`. HubSpot would keep the later
    /// stage.
    fn goes_back(&self, definition: &Property, value: &str) -> bool {
        let accepted = self.record.accepted.get(LIFECYCLE);
        self.record.hubspot_id.is_some()
            && accepted.is_some_and(|held| goes_back(&definition.options, &held.value, value))
    }
}

/// Coerces `changes`. Fails with the rows that cannot be sent, each listed once.
pub(crate) fn coerce(
    definitions: &Definitions,
    origin: &Origin<'_>,
    changes: &BTreeMap<String, String>,
) -> Result<Coerced, BTreeMap<i64, Reason>> {
    let mut coerced = Coerced::default();
    let mut invalid: BTreeMap<i64, Reason> = BTreeMap::new();
    for (name, value) in changes {
        let row = origin.row(name);
        let mut warn = |code: &str, message: String| {
            let warning = Warning { code: code.into(), property: Some(name.clone()), message };
            if let Some(row) = row {
                coerced.warnings.entry(row).or_default().push(warning);
            }
        };
        let Some(definition) = definitions.properties.get(name) else {
            coerced.properties.insert(name.clone(), value.clone());
            continue;
        };
        let sent = match coerce_one(definitions, definition, changes, name, value) {
            Value::Unchanged => value.clone(),
            Value::Changed(sent, note) => {
                if let Some(note) = note {
                    warn(&code(&note), format!("{}; {}", note.message, note.hint));
                }
                sent
            }
            Value::Invalid(note) if definitions.required.contains(name) => match row {
                Some(row) => {
                    invalid.entry(row).or_insert_with(|| reason(name, note));
                    continue;
                }
                None => value.clone(),
            },
            Value::Invalid(note) => {
                warn(&code(&note), format!("left out: {}; {}", note.message, note.hint));
                continue;
            }
        };
        if name == LIFECYCLE && origin.goes_back(definition, &sent) {
            if origin.object.lifecycle == Lifecycle::Forward {
                warn("stage_kept", "left out: HubSpot holds a later stage and keeps it".into());
                continue;
            }
            coerced.clear = Some(name.clone());
        }
        coerced.properties.insert(name.clone(), sent);
    }
    if invalid.is_empty() { Ok(coerced) } else { Err(invalid) }
}

/// Coerces one value. A stage must belong to its pipeline.
fn coerce_one(
    definitions: &Definitions,
    definition: &Property,
    changes: &BTreeMap<String, String>,
    name: &str,
    value: &str,
) -> Value {
    let stages = definitions.stage.as_ref().filter(|names| names.stage == name).and_then(|names| {
        let pipeline = changes.get(&names.pipeline)?;
        let known_as = match value::coerce(
            definitions.properties.get(&names.pipeline)?,
            pipeline,
            definitions.time_zone,
        ) {
            Value::Changed(known, _) => known,
            _ => pipeline.clone(),
        };
        definitions.pipelines.get(&known_as)
    });
    match stages {
        Some(stages) if !value.is_empty() => match one_of(stages, value) {
            Value::Invalid(_) => Value::Invalid(stray_stage(stages)),
            fits => fits,
        },
        _ => value::coerce(definition, value, definitions.time_zone),
    }
}

/// The code of a warning.
fn code(note: &Note) -> String {
    match note.code {
        "READ_ONLY_VALUE" => "read_only".into(),
        code => code.to_lowercase(),
    }
}

fn reason(property: &str, note: Note) -> Reason {
    Reason {
        class: "rejected",
        code: note.code.into(),
        property: Some(property.to_owned()),
        message: format!("the record cannot be sent with this value: {}", note.message),
        hint: Some(note.hint),
        correlation_id: None,
        http_status: None,
    }
}
