//! The ends and types of associations, as calls name them.

use serde_json::Value;

use crate::account::links::{self, End};
use crate::account::state::State;
use crate::kinds::Kind;
use crate::wire::body;
use crate::wire::reply::Refusal;

/// The kinds of the near and the far end.
pub(crate) type Pair = (Kind, Kind);

/// Reads the `associations` of a record that is to be created.
pub(crate) fn inline(
    state: &State,
    kind: Kind,
    associations: &[Value],
) -> Result<Vec<(End, Vec<u32>)>, Refusal> {
    let mut found = Vec::new();
    for association in associations {
        let first = association["types"][0]["associationTypeId"].as_u64().unwrap_or(0);
        let to = Kind::ALL
            .into_iter()
            .find(|to| links::types(kind, *to).iter().any(|(id, _)| u64::from(*id) == first))
            .ok_or_else(|| wrong_type(first, (kind, kind)))?;
        let type_ids = type_ids((kind, to), &association["types"])?;
        let id = body::text(&association["to"]["id"]).unwrap_or_default();
        found.push((end(state, to, &id, "TO")?, type_ids));
    }
    Ok(found)
}

/// Finds the live record that an id names.
pub(crate) fn end(state: &State, kind: Kind, id: &str, side: &str) -> Result<End, Refusal> {
    if id.parse::<u64>().is_err() {
        return Err(Refusal::validation(format!("{id} is not a valid ID"))
            .sub_category("crm.associations.INVALID_IDENTIFIER")
            .context("id", &[id]));
    }
    let name = kind.singular();
    let missing = || {
        let sub = match side {
            "FROM" => "crm.associations.FROM_OBJECT_NOT_FOUND",
            _ => "crm.associations.TO_OBJECT_NOT_FOUND",
        };
        Refusal::plain(404, format!("No {name} with ID {id} exists"))
            .category("OBJECT_NOT_FOUND")
            .sub_category(sub)
            .context("objectType", &[name])
            .context("id", &[id])
    };
    state.store(kind).live_text(id).map(|r| (kind, r.id)).ok_or_else(missing)
}

/// Reads the numbers in a list of types, which must all belong to the pair of kinds.
pub(crate) fn type_ids(pair: Pair, types: &Value) -> Result<Vec<u32>, Refusal> {
    let known = links::types(pair.0, pair.1);
    let listed = types.as_array().map_or(&[][..], Vec::as_slice);
    if listed.is_empty() {
        return Err(Refusal::validation("At least one association type is required"));
    }
    let each = listed.iter().map(|t| {
        let id = t["associationTypeId"].as_u64().unwrap_or(0);
        let hubspot = t["associationCategory"] == "HUBSPOT_DEFINED";
        let found = known.iter().map(|(k, _)| *k).find(|k| hubspot && u64::from(*k) == id);
        found.ok_or_else(|| wrong_type(id, pair))
    });
    each.collect()
}

/// The refusal of a type that does not belong to the pair.
pub(crate) fn wrong_type(id: u64, pair: Pair) -> Refusal {
    let (from, to) = (pair.0.type_id(), pair.1.type_id());
    Refusal::validation(format!("Association type {id} does not exist from {from} to {to}"))
}
