//! The one integration binary: every module is a file of tests.

mod sandbox;
