//! Coerces the changes of a record to the account's property definitions.
//!
//! What an optional property cannot take is left out with a warning on the row that supplied it. What
//! a required one cannot take fails its row before that costs a call. A property that the account
//! does not have goes as it is: HubSpot's answer closes the gate, and nothing is dropped in silence.
//! So does a value of an earlier row, which is no longer there to be failed.

use std::collections::BTreeMap;

use crate::engine::coerce::choice::{goes_back, one_of};
use crate::engine::coerce::outcome::{Note, Value};
use crate::engine::coerce::value::{self, stray_stage};
use crate::engine::fold::{Folded, MappedRow};
use crate::hubspot::definitions::{Definitions, Property};
use crate::mapping::{Lifecycle, ObjectKind, Warning};
use crate::queue::model::{Reason, Record};

/// The property whose earlier options HubSpot ignores once it had a later one.
const LIFECYCLE: &str = "lifecyclestage";

/// What is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Coerced {
    /// Property -> value.
    pub(crate) properties: BTreeMap<String, String>,
    /// What was left out or altered, by the row that supplied it.
    pub(crate) warnings: BTreeMap<i64, Vec<Warning>>,
    /// The property that is to be cleared before anything else goes.
    pub(crate) clear: Option<String>,
}

/// Where the values come from.
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

    /// Whether HubSpot holds a later stage of life than `value`, which it would not leave.
    fn goes_back(&self, definition: &Property, value: &str) -> bool {
        let accepted = self.record.accepted.get(LIFECYCLE);
        self.record.hubspot_id.is_some()
            && accepted.is_some_and(|held| goes_back(&definition.options, &held.value, value))
    }
}

/// Coerces `changes`, or names the rows that cannot be sent, each once.
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

/// Coerces one value; a stage must be one of its pipeline's.
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

/// The word of a warning.
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
