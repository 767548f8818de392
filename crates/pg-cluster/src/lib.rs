//! A private Postgres cluster: made fresh, reached by a unix socket, thrown away when done.
//!
//! For `demo` and the tests, which must need nothing but the server's programs on the machine.
//! The cluster listens on no port, so it meets no other server and any number run side by side.
//!
//! Four ways out, each of which leaves neither a server nor a directory behind:
//! [`Cluster::stop`]; dropping it; the end of the process without a drop (`exit`, a static,
//! `kill -9`), which a small shell waiting on a pipe notices; and, where even that shell was
//! killed or the machine went down, the next [`Cluster::temporary`], which sweeps first.

mod account;
mod cluster;
mod error;
mod find;
mod home;
mod server;
mod standby;
#[cfg(test)]
mod tests;

pub use cluster::{Cluster, Options};
pub use error::ClusterError;
