//! Writes one record, and applies the rules that depend on the record and on others.
//!
//! A write is checked completely before anything changes, and its changes can be undone, so that a
//! batch can be refused as a whole.

mod stages;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::account::ends;
use crate::account::state::State;
use crate::account::store::Record;
use crate::account::values::{self, Warning};
use crate::clock;
use crate::kinds::{Kind, Version};
use crate::wire::reply::{PropertyFault, Refusal};
use stages::is_earlier;

/// A record that was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) id: u64,
    pub(crate) new: bool,
    /// The names of the properties in the request.
    pub(crate) sent: Vec<String>,
    pub(crate) warnings: Vec<Warning>,
    before: Option<Record>,
}

type Properties = BTreeMap<String, String>;

impl State {
    /// Creates a record with its associations.
    pub(crate) fn create(
        &mut self,
        kind: Kind,
        version: Version,
        sent: &Properties,
        associations: &[Value],
    ) -> Result<Written, Refusal> {
        let id = self.new_id();
        let (mut properties, warnings) = self.prepare(kind, version, id, None, sent)?;
        let links = ends::inline(self, kind, associations)?;
        let now = clock::now();
        properties.insert("hs_object_id".into(), id.to_string());
        properties.insert(kind.created_property().into(), clock::iso(now));
        properties.insert(kind.modified_property().into(), clock::iso(now));
        if kind == Kind::Ticket {
            properties.insert("hs_ticket_id".into(), id.to_string());
        }
        let record = Record { id, properties, created_at: now, updated_at: now, archived_at: None };
        self.store_mut(kind).put(record);
        for (to, type_ids) in links {
            self.links.join((kind, id), to, &type_ids);
        }
        let sent = sent.keys().cloned().collect();
        Ok(Written { id, new: true, sent, warnings, before: None })
    }

    /// Changes some properties of a live record.
    pub(crate) fn update(
        &mut self,
        kind: Kind,
        version: Version,
        id: u64,
        sent: &Properties,
    ) -> Result<Written, Refusal> {
        let before = self.store(kind).live(id).cloned().ok_or_else(Refusal::not_found)?;
        let (properties, warnings) = self.prepare(kind, version, before.id, Some(&before), sent)?;
        let mut record = before.clone();
        record.properties = properties;
        record.updated_at = clock::now();
        let modified = clock::iso(record.updated_at);
        record.properties.insert(kind.modified_property().into(), modified);
        let id = record.id;
        self.store_mut(kind).put(record);
        let sent = sent.keys().cloned().collect();
        Ok(Written { id, new: false, sent, warnings, before: Some(before) })
    }

    /// Undoes a write.
    pub(crate) fn undo(&mut self, kind: Kind, written: Written) {
        match written.before {
            Some(before) => self.store_mut(kind).put(before),
            None => {
                self.store_mut(kind).remove(written.id);
                self.links.forget((kind, written.id));
            }
        }
    }

    /// Returns the properties that the record will have, or why the write is refused.
    fn prepare(
        &self,
        kind: Kind,
        version: Version,
        id: u64,
        before: Option<&Record>,
        sent: &Properties,
    ) -> Result<(Properties, Vec<Warning>), Refusal> {
        let mut faults = Vec::new();
        let mut warnings = Vec::new();
        let mut properties = before.map(|r| r.properties.clone()).unwrap_or_default();
        for (name, raw) in sent {
            match self.check(kind, version, name, raw) {
                Ok((value, warning)) => {
                    warnings.extend(warning);
                    self.merge(kind, &mut properties, name, value);
                }
                Err(fault) => faults.push(fault),
            }
        }
        if before.is_none() {
            faults.extend(self.missing(kind, version, &properties, sent));
        }
        if faults.is_empty() {
            faults.extend(self.settle_stage(kind, &mut properties));
        }
        if !faults.is_empty() {
            return Err(Refusal::Properties(faults));
        }
        self.check_unique(kind, id, &properties)?;
        Ok((properties, warnings))
    }

    fn check(
        &self,
        kind: Kind,
        version: Version,
        name: &str,
        raw: &str,
    ) -> Result<(String, Option<Warning>), PropertyFault> {
        let fault = |code, message| PropertyFault { name: name.into(), code, message };
        let Some(property) = self.store(kind).schema.live(name) else {
            let message = format!("Property \"{name}\" does not exist");
            return Err(fault("PROPERTY_DOESNT_EXIST", message));
        };
        let (value, warning) = values::check(property, version, raw)?;
        let addresses = match (kind, name) {
            (Kind::Contact, "email" | "hs_additional_emails") => value.to_lowercase(),
            _ => String::new(),
        };
        for address in addresses.split(';').filter(|a| !a.is_empty()) {
            if !values::is_email(address) {
                return Err(fault("INVALID_EMAIL", format!("Email address {raw} is invalid")));
            }
            if self.forgotten.contains(address) {
                let message = format!("Email address {raw} belongs to a contact that was erased");
                return Err(fault("BLOCKED_EMAIL", message));
            }
        }
        let owner_unknown = || !self.owners.iter().any(|o| o["id"] == *value);
        if name == "hubspot_owner_id" && !value.is_empty() && owner_unknown() {
            return Err(fault("INVALID_OWNER_ID", format!("Owner {value} does not exist")));
        }
        Ok((if addresses.is_empty() { value } else { addresses }, warning))
    }

    /// Sets one checked value.
    fn merge(&self, kind: Kind, properties: &mut Properties, name: &str, value: String) {
        if value.is_empty() {
            properties.remove(name);
            return;
        }
        let current = properties.get(name).map(String::as_str);
        if name == "lifecyclestage" && current.is_some_and(|now| is_earlier(&value, now)) {
            return;
        }
        let appends = value.starts_with(';')
            && self.store(kind).schema.live(name).is_some_and(|p| p.field_type == "checkbox");
        if appends {
            let mut all: Vec<&str> = Vec::new();
            for option in current.unwrap_or_default().split(';').chain(value.split(';')) {
                if !option.is_empty() && !all.contains(&option) {
                    all.push(option);
                }
            }
            let all = all.join(";");
            properties.insert(name.into(), all);
        } else {
            properties.insert(name.into(), value);
        }
    }

    /// Returns the required properties that a new record lacks.
    fn missing(
        &self,
        kind: Kind,
        version: Version,
        properties: &Properties,
        sent: &Properties,
    ) -> Vec<PropertyFault> {
        let lacks = |name: &&str| !properties.contains_key(*name);
        let mut names: Vec<String> = Vec::new();
        let always: &[&str] = match kind {
            Kind::Deal => &["dealname", "dealstage"],
            Kind::Ticket => &["subject", "hs_pipeline_stage"],
            Kind::Note => &["hs_timestamp"],
            Kind::Contact if ["email", "firstname", "lastname"].iter().all(&lacks) => &["email"],
            Kind::Contact | Kind::Company => &[],
        };
        names.extend(always.iter().filter(|n| lacks(n)).map(|n| (*n).to_owned()));
        let several = self.pipelines_of(kind).len() > 1;
        if let Some((pipeline, _)) = kind.pipeline_properties()
            && lacks(&pipeline)
            && (several || (kind == Kind::Deal && names.len() == always.len()))
        {
            names.push(pipeline.to_owned());
        }
        if version.is_current() {
            let marked = self.settings.required.get(kind.plural()).into_iter().flatten();
            names.extend(marked.filter(|n| lacks(&n.as_str())).cloned());
        }
        // A refused value is not reported as missing too.
        names.retain(|n| sent.get(n).is_none_or(String::is_empty));
        let fault = |name: String| PropertyFault {
            message: format!("{name} is required."),
            code: "MISSING_REQUIRED_PROPERTY",
            name,
        };
        names.into_iter().map(fault).collect()
    }

    /// Fills in the pipeline, checks the stage against it, and updates what depends on the stage.
    fn settle_stage(&self, kind: Kind, properties: &mut Properties) -> Option<PropertyFault> {
        let (pipeline_name, stage_name) = kind.pipeline_properties()?;
        let pipelines = self.pipelines_of(kind);
        let first = pipelines.first()?.id.clone();
        let id = properties.entry(pipeline_name.into()).or_insert(first).clone();
        let pipeline = pipelines.iter().find(|p| p.id == id)?;
        let stage_id = properties.get(stage_name)?;
        let Some(stage) = pipeline.stages.iter().find(|s| s.id == *stage_id) else {
            return Some(PropertyFault {
                message: format!("{stage_id} is not a stage of the pipeline {id}"),
                code: "INVALID_PIPELINE_STAGE_ID",
                name: stage_name.into(),
            });
        };
        let closed = stage.metadata.get("isClosed").cloned().unwrap_or_default();
        if let Some(probability) = stage.metadata.get("probability") {
            let won = closed == "true" && probability == "1.0";
            properties.insert("hs_deal_stage_probability".into(), probability.clone());
            properties.insert("hs_is_closed_won".into(), won.to_string());
        }
        properties.insert("hs_is_closed".into(), closed);
        None
    }
}
