//! A standby that follows a running cluster, for tests of failovers.

use crate::account;
use crate::cluster::{Cluster, start_with};
use crate::error::ClusterError;
use crate::home::Home;
use crate::server::{self, Server, USER};

impl Cluster {
    /// Creates a hot standby of this cluster: a read-only copy that replays all changes.
    ///
    /// # Errors
    /// When the copy cannot be made or does not start.
    pub fn standby(&self) -> Result<Self, ClusterError> {
        let account = account::for_server()?;
        let home = Home::create(&self.home.parent(), account)?;
        let server = Server { binaries: self.server.binaries.clone(), account, data: home.data() };
        let copied = server.copy(&self.server.data, USER, server::PORT);
        match copied.and_then(|()| start_with(&server, &home, self.durable)) {
            Ok(guard) => Ok(Self { server, home, guard, durable: self.durable, running: true }),
            Err(error) => {
                home.remove();
                Err(error)
            }
        }
    }

    /// Promotes a standby to a primary.
    ///
    /// # Errors
    /// When it is not a standby, or does not end its recovery.
    pub fn promote(&self) -> Result<(), ClusterError> {
        self.server.promote()
    }
}
