//! Converts values to what the account's property definitions accept.

pub mod changes;
pub mod choice;
pub mod outcome;
pub mod value;

#[cfg(test)]
mod tests;
