//! The intake stores accepted events in the queue.

mod aside;
pub mod enqueue;
mod lane;
mod lanes;
pub mod notify;
mod request;

pub use lanes::Intake;
