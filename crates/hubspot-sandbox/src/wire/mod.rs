//! The HTTP messages: calls, their bodies, and replies.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod reply;
