//! hubferry
