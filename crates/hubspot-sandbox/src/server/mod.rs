//! The account as an HTTP server.

mod control;
mod guard;

use axum::Router;

use crate::sandbox::Sandbox;

impl Sandbox {
    /// The whole HTTP surface: the API and the control endpoints.
    pub fn router(&self) -> Router {
        control::router(self.clone())
    }

    /// Serves the account until `shutdown` completes. Calls that still hang are then cut.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let closing = self.closing.clone();
        let shutdown = async move {
            shutdown.await;
            closing.cancel();
        };
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).await
    }
}
