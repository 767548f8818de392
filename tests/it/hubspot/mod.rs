//! HubSpot's replies, as they are read.

pub mod classification;
pub mod replies;
