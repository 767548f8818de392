//! The HTTP server: accepts connections and serves them. It limits their number, how long a client
//! may take to send a request, and how long it may take to read the answer.

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
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::connections::Connections;
use super::running::Running;
use super::stall::Stalling;

/// The most connections at a time. One more replaces one that is idle.
const CONNECTIONS: usize = 10_000;
/// How many file descriptors are left for everything else, mainly the database.
const OTHER_FILES: u64 = 200;
/// How much of a request is read ahead, in bytes. This bounds its head.
const BUFFER: usize = 64 * 1024;
/// Errors of clients that disconnected. They need no attention.
const GONE: [ErrorKind; 3] =
    [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
/// At a shutdown, a client in the middle of a request is cut off this long before the end.
const LAST: Duration = Duration::from_secs(3);
/// How long to wait when the system cannot open another connection.
const REST: Duration = Duration::from_millis(20);

/// The timeouts of clients and of a shutdown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of the next request. This also closes idle connections.
    pub(super) head: Duration,
    /// For reading any part of the answer.
    pub(super) stall: Duration,
    /// From `stop` to the end of the shutdown.
    pub(super) grace: Duration,
}

/// Serves `router` on `listener` until `stop`, and then finishes the requests that are running.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    running: &Running,
    stop: &CancellationToken,
) {
    let connections = Connections::new(most_connections());
    let open = GracefulShutdown::new();
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(patience.head).max_buf_size(BUFFER);
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client disconnected before its connection was accepted.
            Err(error) if GONE.contains(&error.kind()) => continue,
            Err(error) => {
                // Most likely, too many files are open. This is logged once, not fifty times a
                // second.
                if !full {
                    tracing::warn!(error = %error, "no further connection can be accepted for now");
                }
                full = true;
                connections.make_room();
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        full = false;
        stream.set_nodelay(true).ok();
        let place = Arc::new(connections.add());
        let (router, client) = (router.clone(), Arc::clone(&place));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let (router, client) = (router.clone(), Arc::clone(&client));
            async move {
                let answer = router.oneshot(request.map(Body::new)).await;
                client.answered();
                answer
            }
        });
        let stream = TokioIo::new(Stalling::new(stream, patience.stall));
        let connection = open.watch(protocol.serve_connection(stream, service));
        let stop = stop.clone();
        running.spawn_apart("connection of a client", async move {
            let cut = async {
                stop.cancelled().await;
                tokio::time::sleep(patience.grace.saturating_sub(LAST)).await;
            };
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(error = %error, "a connection ended early");
                },
                () = place.must_leave() => tracing::debug!("a connection made room for another"),
                () = cut => {}
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}

/// How many connections to allow: as many as wanted, or as many as the system's limit on files
/// allows. The limit is raised first, because most systems start a process with a low one.
fn most_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let all = limit.maximum.unwrap_or(u64::MAX).min(CONNECTIONS as u64 * 2);
    let files = if limit.current.is_some_and(|current| current < all) {
        let raised = Rlimit { current: Some(all), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).map_or(limit.current.unwrap_or(all), |()| all)
    } else {
        limit.current.unwrap_or(all)
    };
    let connections = files.saturating_sub(OTHER_FILES).max(files / 2);
    usize::try_from(connections).unwrap_or(CONNECTIONS).min(CONNECTIONS)
}
