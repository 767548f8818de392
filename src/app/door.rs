//! The HTTP server: accepts connections and serves each, with a bound on how many there are and on
//! how long a client may take to say what it wants.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// More wait to be accepted.
const CONNECTIONS: usize = 10_000;
/// What becomes of clients, and is nobody's trouble.
const GONE: [ErrorKind; 3] =
    [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
/// A client that is in the middle of a request at a shutdown may go on until so long before its end.
const LAST: Duration = Duration::from_secs(3);
/// How long to rest when the system has no room for another connection.
const REST: Duration = Duration::from_millis(200);

/// How long a client, and a shutdown, may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of the next request; idle connections are closed too.
    pub(super) head: Duration,
    /// From `stop` to the end.
    pub(super) grace: Duration,
}

/// Serves `router` on `listener` until `stop`, and then what is in flight.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let open = GracefulShutdown::new();
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(patience.head);
    let mut full = false;
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // Gone before it was accepted.
            Err(error) if GONE.contains(&error.kind()) => continue,
            Err(error) => {
                // Too many files are open, most likely: said once, not five times a second.
                if !full {
                    tracing::warn!(error = %error, "no further connection can be accepted for now");
                }
                full = true;
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        full = false;
        stream.set_nodelay(true).ok();
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = open.watch(protocol.serve_connection(TokioIo::new(stream), service));
        let stop = stop.clone();
        tracker.spawn(async move {
            let _place = place;
            let cut = async {
                stop.cancelled().await;
                tokio::time::sleep(patience.grace.saturating_sub(LAST)).await;
            };
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(error = %error, "a connection ended early");
                },
                () = cut => {}
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}
