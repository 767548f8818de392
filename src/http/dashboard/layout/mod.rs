//! What every page shares: frame, sign-in check, errors, forms, links and formats.

pub(super) mod assets;
pub(super) mod failure;
mod failure_page;
pub(super) mod forms;
pub(super) mod guard;
pub(super) mod link;
pub(super) mod page;
pub(super) mod when;
pub(super) mod words;
