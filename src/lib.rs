//! hubferry

pub mod sandbox;
