//! The engine: folding and coercing.

pub mod convergence;
pub mod definitions;
pub mod values;
