//! The kinds of calls: what is sent, how it is judged, and what becomes of it.

pub(super) mod adopted;
pub(super) mod archive;
pub(super) mod associate;
pub(super) mod conflicts;
pub(super) mod isolate;
pub(super) mod resolve;
pub(super) mod write;
