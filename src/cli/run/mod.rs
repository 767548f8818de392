//! Commands that need no running server: they start one, or look at this machine and its settings.

pub(super) mod check;
pub(super) mod completions;
pub(super) mod demo;
pub(super) mod health;
pub(super) mod sandbox;
pub(super) mod serve;
pub(super) mod setup;
