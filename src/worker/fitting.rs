//! What of a record's changes can be sent: each value fitted to what the account says. Pure.
//!
//! What an optional property cannot take is left out with a warning on the row that supplied it. What
//! a required one cannot take fails its row before that costs a call. A property that the account
//! does not have goes as it is: HubSpot's answer closes the gate, and nothing is dropped in silence.
//! So does a value of an earlier row, which is no longer there to be failed.

use std::collections::BTreeMap;

use super::fold::{Folded, MappedRow};
use crate::hubspot::fit::{Fitted, Note, fit, goes_back, one_of, stray_stage};
use crate::hubspot::schema::{Definitions, Property};
use crate::mapping::{Lifecycle, ObjectKind, Warning};
use crate::queue::model::{Reason, Record};

/// The property whose earlier options HubSpot ignores once it had a later one.
const LIFECYCLE: &str = "lifecyclestage";

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Fitting {
    /// Property -> value.
    pub(super) properties: BTreeMap<String, String>,
    /// What was left out or altered, by the row that supplied it.
    pub(super) warnings: BTreeMap<i64, Vec<Warning>>,
    /// The property that is to be cleared before anything else goes.
    pub(super) clear: Option<String>,
}

/// Where the values come from.
pub(super) struct Origin<'a> {
    pub(super) object: &'a ObjectKind,
    pub(super) record: &'a Record,
    pub(super) rows: &'a [MappedRow],
    pub(super) folded: &'a Folded,
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

/// Fits `changes`, or names the rows that cannot be sent, each once.
pub(super) fn fitting(
    definitions: &Definitions,
    origin: &Origin<'_>,
    changes: &BTreeMap<String, String>,
) -> Result<Fitting, BTreeMap<i64, Reason>> {
    let mut fitting = Fitting::default();
    let mut unfit: BTreeMap<i64, Reason> = BTreeMap::new();
    for (name, value) in changes {
        let row = origin.row(name);
        let mut warn = |code: &str, message: String| {
            let warning = Warning { code: code.into(), property: Some(name.clone()), message };
            if let Some(row) = row {
                fitting.warnings.entry(row).or_default().push(warning);
            }
        };
        let Some(definition) = definitions.properties.get(name) else {
            fitting.properties.insert(name.clone(), value.clone());
            continue;
        };
        let sent = match fit_one(definitions, definition, changes, name, value) {
            Fitted::Keep => value.clone(),
            Fitted::Changed(sent, note) => {
                if let Some(note) = note {
                    warn(&code(&note), format!("{}; {}", note.message, note.hint));
                }
                sent
            }
            Fitted::Unfit(note) if definitions.required.contains(name) => match row {
                Some(row) => {
                    unfit.entry(row).or_insert_with(|| reason(name, note));
                    continue;
                }
                None => value.clone(),
            },
            Fitted::Unfit(note) => {
                warn(&code(&note), format!("left out: {}; {}", note.message, note.hint));
                continue;
            }
        };
        if name == LIFECYCLE && origin.goes_back(definition, &sent) {
            if origin.object.lifecycle == Lifecycle::Forward {
                warn("stage_kept", "left out: HubSpot holds a later stage and keeps it".into());
                continue;
            }
            fitting.clear = Some(name.clone());
        }
        fitting.properties.insert(name.clone(), sent);
    }
    if unfit.is_empty() { Ok(fitting) } else { Err(unfit) }
}

/// Fits one value; a stage must be one of its pipeline's.
fn fit_one(
    definitions: &Definitions,
    definition: &Property,
    changes: &BTreeMap<String, String>,
    name: &str,
    value: &str,
) -> Fitted {
    let stages = definitions.stage.as_ref().filter(|names| names.stage == name).and_then(|names| {
        let pipeline = changes.get(&names.pipeline)?;
        let fitted = match fit(
            definitions.properties.get(&names.pipeline)?,
            pipeline,
            definitions.time_zone,
        ) {
            Fitted::Changed(known, _) => known,
            _ => pipeline.clone(),
        };
        definitions.pipelines.get(&fitted)
    });
    match stages {
        Some(stages) if !value.is_empty() => match one_of(stages, value) {
            Fitted::Unfit(_) => Fitted::Unfit(stray_stage(stages)),
            fits => fits,
        },
        _ => fit(definition, value, definitions.time_zone),
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
