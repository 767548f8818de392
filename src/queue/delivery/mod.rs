//! Delivery: records become due, are leased and are settled.

pub(in crate::queue) mod due_cursor;
pub mod lease;
pub mod reap;
pub(in crate::queue) mod refresh;
pub mod settle;
pub mod settlement;
pub mod slots;
pub(in crate::queue) mod stranded;
