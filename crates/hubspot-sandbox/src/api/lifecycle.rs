//! Calls that merge and erase records.

use serde_json::Value;

use crate::account::state::State;
use crate::api::record_view::read_view;
use crate::kinds::Kind;
use crate::wire::body;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

/// `POST merge`.
pub(crate) fn answer_merge(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let body = call.json()?;
    let id = |value: &Value| body::text(value).and_then(|t| t.parse().ok());
    let (Some(primary), Some(other)) = (id(&body["primaryObjectId"]), id(&body["objectIdToMerge"]))
    else {
        return Err(Refusal::validation("primaryObjectId and objectIdToMerge must be object ids"));
    };
    let survivor = state.merge_records(kind, primary, other)?;
    Ok(Reply::json(200, read_view(state, kind, survivor, &[])))
}

/// `POST gdpr-delete`.
pub(crate) fn answer_erase(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let body = call.json()?;
    let Some(id) = body::text(&body["objectId"]) else {
        return Err(Refusal::validation("objectId is required"));
    };
    match body["idProperty"].as_str() {
        Some("email") if kind == Kind::Contact => {
            let address = id.to_lowercase();
            if let Some(owner) = state.store(kind).owner_of("email", &address) {
                state.erase(kind, owner);
            }
            state.forgotten.insert(address);
        }
        Some(name) => {
            let owner = state.store(kind).owner_of(name, &id).ok_or_else(Refusal::not_found)?;
            state.erase(kind, owner);
        }
        None => {
            let found = id.parse().is_ok_and(|id| state.erase(kind, id));
            if !found {
                return Err(Refusal::not_found());
            }
        }
    }
    Ok(Reply::empty(204))
}
