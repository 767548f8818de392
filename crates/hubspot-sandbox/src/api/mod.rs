//! The API: each part answers the calls for its paths.

pub(crate) mod account;
pub(crate) mod associations;
pub(crate) mod batch;
pub(crate) mod lifecycle;
pub(crate) mod objects;
pub(crate) mod pipelines;
pub(crate) mod properties;
pub(crate) mod record_view;
pub(crate) mod route;
pub(crate) mod search;

use crate::account::state::State;
use crate::kinds::Kind;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal};
use route::{Area, Route};

/// Performs the call.
pub(crate) fn answer(route: &Route, state: &mut State, call: &Call) -> Answer {
    let words = route.words();
    let rest = words.as_slice();
    match &route.area {
        Area::Objects(kind) => {
            let kind = known(kind)?;
            match rest {
                [id, "associations", rest @ ..] => {
                    associations::answer_of_record(state, call, (kind, id), rest)
                }
                _ => objects::answer(state, call, route.version, kind, rest),
            }
        }
        Area::Properties(kind) => {
            properties::answer(state, call, route.version, known(kind)?, rest)
        }
        Area::Pipelines(kind) => pipelines::answer(state, call, known(kind)?, rest),
        Area::Associations(from, to) => {
            let pair = (known(from)?, known(to)?);
            associations::answer(state, call, route.version, pair, rest)
        }
        Area::Owners => pipelines::answer_owners(state, call, rest),
        Area::Account => account::answer(state, call, rest),
        Area::TokenInfo => account::answer_token_info(state, call),
    }
}

fn known(kind: &str) -> Result<Kind, Refusal> {
    let refusal = || Refusal::plain(400, format!("Unable to infer object type from: {kind}"));
    Kind::parse(kind).ok_or_else(refusal)
}
