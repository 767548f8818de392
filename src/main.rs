//! hubferry
fn main() {}
