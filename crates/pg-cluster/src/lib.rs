//! A private Postgres cluster: newly created, reached by a unix socket, and removed at the end.
//!
//! It is for `demo` and the tests, which must need only the server's programs on the machine. The
//! cluster listens on no port, so it cannot conflict with other servers, and any number can run at
//! the same time.
//!
//! There are four ways to end it, and each removes the server and its directory:
//!
//! - [`Cluster::stop`];
//! - dropping it;
//! - the end of the process without a drop (`exit`, a static, `kill -9`), which a small shell
//!   notices because it waits on a pipe;
//! - if that shell was killed too or the machine went down, the next [`Cluster::temporary`], which
//!   sweeps first.

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
