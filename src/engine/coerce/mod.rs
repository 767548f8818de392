//! Values as the account's property definitions have them.

pub mod changes;
pub mod choice;
pub mod outcome;
pub mod value;

#[cfg(test)]
mod tests;
