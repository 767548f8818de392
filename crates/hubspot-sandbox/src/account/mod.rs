//! The account: its data and the changes to it.

pub(crate) mod call_log;
pub(crate) mod ends;
pub(crate) mod limits;
pub(crate) mod links;
pub(crate) mod merge;
pub(crate) mod pipelines;
pub(crate) mod schema;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod unique;
pub(crate) mod values;
pub(crate) mod write;
