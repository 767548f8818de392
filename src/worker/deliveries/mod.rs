//! The kinds of calls to HubSpot: what each one sends, and how its answer is settled.

pub(super) mod adopted;
pub(super) mod archive;
pub(super) mod associate;
pub(super) mod conflicts;
pub(super) mod isolate;
pub(super) mod resolve;
pub(super) mod write;
