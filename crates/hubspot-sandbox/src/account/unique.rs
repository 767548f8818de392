//! Unique values: HubSpot refuses a value that another record has.

use std::collections::BTreeMap;

use crate::account::state::State;
use crate::account::store::Store;
use crate::kinds::Kind;
use crate::wire::reply::Refusal;

impl State {
    /// Refuses a value that another record has.
    pub(crate) fn check_unique(
        &self,
        kind: Kind,
        id: u64,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        let store = self.store(kind);
        for (name, value) in store.unique_keys(properties) {
            let Some(owner) = store.owner_of(&name, &value).filter(|o| *o != id) else { continue };
            if name == "email" {
                return Err(self.contact_exists(owner));
            }
            return Err(self.value_taken(kind, &name, &value, id, owner));
        }
        Ok(())
    }

    fn contact_exists(&self, owner: u64) -> Refusal {
        if self.faults.conflict_without_id {
            return Refusal::plain(409, "Contact already exists").category("CONFLICT");
        }
        Refusal::plain(409, format!("Contact already exists. Existing ID: {owner}"))
            .category("CONFLICT")
            .context("existingId", &[owner])
    }

    /// Returns the refusal of a custom unique value that another record has.
    pub(crate) fn value_taken(
        &self,
        kind: Kind,
        name: &str,
        value: &str,
        id: u64,
        owner: u64,
    ) -> Refusal {
        let (portal, type_id) = (self.settings.portal_id, kind.type_id());
        Refusal::validation(format!(
            "Cannot set PropertyValueCoordinates{{portalId={portal}, objectTypeId={type_id}, \
             propertyName={name}, value={value}}} on {id}. {owner} already has that value."
        ))
    }
}

impl Store {
    /// Whether records can be found by this property.
    pub(crate) fn is_key(&self, kind: Kind, name: &str) -> bool {
        (kind == Kind::Contact && name == "email")
            || self.schema.live(name).is_some_and(|p| p.has_unique_value)
    }
}
