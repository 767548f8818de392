//! The wire between the workers and HubSpot: every call stops here until the schedule decides what
//! becomes of it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// What a worker gets for its call.
#[derive(Debug)]
pub enum Fate {
    /// HubSpot's reply.
    Reply(Reply),
    /// Nothing: the connection breaks within the reply.
    Cut,
    /// This status, without HubSpot's doing.
    Status(u16),
}

/// HubSpot's reply.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Bytes,
}

/// A call that has left its worker and has not reached HubSpot.
#[derive(Debug)]
pub struct Pending {
    /// Whose it is.
    pub worker: usize,
    pub path: String,
    request: reqwest::Request,
    http: reqwest::Client,
    decide: oneshot::Sender<Fate>,
}

impl Pending {
    /// HubSpot carries it out.
    pub async fn apply(&self) -> Reply {
        let request = self.request.try_clone().expect("a body that can be sent twice");
        let reply = self.http.execute(request).await.expect("the sandbox answers");
        let status = reply.status();
        Reply { status, body: reply.bytes().await.expect("a body") }
    }

    /// Tells the worker; it may be dead.
    pub fn decide(self, fate: Fate) {
        self.decide.send(fate).ok();
    }
}

struct Wire {
    hubspot: String,
    http: reqwest::Client,
    arrived: mpsc::UnboundedSender<Pending>,
}

/// Starts a wire to `hubspot`; worker n calls under `/n`. Answers its address and what arrives.
pub async fn start(hubspot: &str) -> (String, mpsc::UnboundedReceiver<Pending>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let wire = Arc::new(Wire { hubspot: hubspot.into(), http, arrived });
    let router = Router::new().fallback(hold).with_state(wire);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, arrivals)
}

async fn hold(State(wire): State<Arc<Wire>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().expect("a path").as_str();
    let (worker, path) = path[1..].split_once('/').expect("a worker and a path");
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let mut onward =
        wire.http.request(parts.method, format!("{}/{path}", wire.hubspot)).body(body.clone());
    for name in ["authorization", "content-type"] {
        if let Some(value) = parts.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let (decide, fate) = oneshot::channel();
    let pending = Pending {
        worker: worker.parse().expect("a worker's number"),
        path: path.to_owned(),
        request: onward.build().expect("a request"),
        http: wire.http.clone(),
        decide,
    };
    wire.arrived.send(pending).ok();
    match fate.await {
        Ok(Fate::Reply(Reply { status, body })) => {
            (status, [("content-type", "application/json")], body).into_response()
        }
        Ok(Fate::Status(status)) => StatusCode::from_u16(status).expect("a status").into_response(),
        Ok(Fate::Cut) | Err(_) => {
            let broken =
                futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
            Response::new(Body::from_stream(broken))
        }
    }
}
