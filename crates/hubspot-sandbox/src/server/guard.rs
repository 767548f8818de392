//! The checks around every call: token, scopes, limits, faults, and the log.
//!
//! A call is performed completely under the account's lock, and all waiting happens after that.
//! Calls therefore take effect in the order of their arrival, and a caller that gives up early
//! never knows whether its write was performed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::account::call_log::CallView;
use crate::account::state::State;
use crate::api;
use crate::api::route::{self, Area, Route};
use crate::clock;
use crate::faults::{FailHow, spend};
use crate::sandbox::Sandbox;
use crate::wire::call::Call;
use crate::wire::reply::{Payload, Refusal, Reply};

/// The longest body read.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// How long a call without an answer stays open before the connection is cut.
const HANG: Duration = Duration::from_secs(600);

/// Answers a call of the API.
pub(crate) async fn answer(Shared(sandbox): Shared<Sandbox>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    let query = query.map(|q| q.0).unwrap_or_default();
    let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
    let token = bearer.and_then(|b| b.strip_prefix("Bearer ")).map(str::to_owned);
    let call = Call::new(parts.method, parts.uri.path(), query, bytes.to_vec());
    let (reply, wait) = sandbox.lock().take(&call, token.as_deref());
    if !wait.is_zero() {
        sandbox.wait(wait).await;
    }
    if matches!(reply.payload, Payload::Hang) {
        sandbox.wait(HANG).await;
    }
    response(reply)
}

fn response(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = match reply.payload {
        Payload::Json(body) => (status, axum::Json(body)).into_response(),
        Payload::Html(page) => (status, axum::response::Html(page)).into_response(),
        Payload::Empty => status.into_response(),
        Payload::Cut | Payload::Hang => {
            let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            let stream = futures_util::stream::once(async { Err::<Vec<u8>, _>(cut) });
            (status, Body::from_stream(stream)).into_response()
        }
    };
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Whether a call passed the checks up to the rate limit.
struct Admission {
    rate_counted: bool,
    refusal: Option<Reply>,
}

impl State {
    /// Processes a call. Returns the reply and how long to delay it.
    fn take(&mut self, call: &Call, token: Option<&str>) -> (Reply, Duration) {
        let arrived = Instant::now();
        let route = route::parse(&call.path);
        let search = route.as_ref().is_some_and(|r| r.is_search(&call.method));
        let admission = self.admit(call, route.as_ref(), token, arrived, search);
        let mut reply = match admission.refusal {
            Some(refusal) => refusal,
            None => self.carry_out(call, route.as_ref()),
        };
        if let Payload::Json(body) = &mut reply.payload {
            self.faults.distort(body);
        }
        let mut wait = self.settings.latency;
        wait += Duration::from_millis(self.faults.latency_ms.unwrap_or(0));
        if matches!(reply.payload, Payload::Cut) {
            wait += Duration::from_millis(self.faults.hang_ms.unwrap_or(0));
        }
        if !self.faults.missing_rate_headers {
            let others = self.faults.other_consumer_per_10s.unwrap_or(0);
            reply.headers.extend(self.limits.headers(search, others));
        }
        reply = reply.header("x-hubspot-correlation-id", Uuid::new_v4());
        let unanswered = matches!(reply.payload, Payload::Cut | Payload::Hang);
        let inputs = call.json.as_ref().ok().and_then(|b| b["inputs"].as_array()).map(Vec::len);
        let since_start = arrived.saturating_duration_since(self.started).as_millis();
        self.log(CallView {
            arrived_at_ms: u64::try_from(since_start).unwrap_or(u64::MAX),
            method: call.method.to_string(),
            path: call.path.clone(),
            status: if unanswered { 0 } else { reply.status },
            inputs: inputs.unwrap_or(1),
            rate_counted: admission.rate_counted,
        });
        (reply, wait)
    }

    fn admit(
        &mut self,
        call: &Call,
        route: Option<&Route>,
        token: Option<&str>,
        at: Instant,
        search: bool,
    ) -> Admission {
        let refused = |rate_counted, reply| Admission { rate_counted, refusal: Some(reply) };
        if route.is_none_or(|r| r.area != Area::TokenInfo) && !self.accepts(token) {
            let reply =
                Reply::from(unauthenticated()).header("x-hubspot-auth-failure", "401 Unauthorized");
            return refused(false, reply);
        }
        if let Some(route) = route {
            let granted = self.granted_scopes();
            let mut lacking = route.scopes(&call.method);
            lacking.retain(|scope| !covers(&granted, scope));
            if !lacking.is_empty() {
                return refused(false, missing_scopes(route, &lacking).into());
            }
        }
        let today = clock::day(clock::now(), &self.settings.time_zone);
        let others = self.faults.other_consumer_per_10s.unwrap_or(0);
        let portal = self.settings.portal_id;
        match self.limits.arrive(at, today, search, others, portal) {
            Ok(()) => Admission { rate_counted: !search, refusal: None },
            Err(refusal) => refused(!search, refusal.into()),
        }
    }

    /// Performs an admitted call, with any faults.
    fn carry_out(&mut self, call: &Call, route: Option<&Route>) -> Reply {
        let cut = || Reply { status: 200, headers: Vec::new(), payload: Payload::Cut };
        if self.faults.hang_ms.is_some() {
            return cut();
        }
        if let Some(outage) = self.faults.outage.as_mut().filter(|o| o.remaining != Some(0)) {
            spend(&mut outage.remaining);
            return match (outage.html, outage.status) {
                (true, status) => Reply::gateway(status),
                (false, 503) => Reply::empty(503),
                (false, status) => Refusal::plain(status, "internal error").into(),
            };
        }
        if let Some(moving) = self.faults.migrating_477.as_mut().filter(|m| m.remaining != Some(0))
        {
            spend(&mut moving.remaining);
            let message = "Migration in progress and the portal is not available for access.";
            let reply = Reply::from(Refusal::plain(477, message));
            return reply.header("retry-after", moving.retry_after_s);
        }
        let Some(route) = route else { return Refusal::not_found().into() };
        let write = route.is_write(&call.method);
        if let Some(lock) = self.faults.lock_423.as_mut().filter(|_| write)
            && spend(&mut lock.remaining)
        {
            return Refusal::plain(423, "The object is locked. Please try again.").into();
        }
        let inputs = call.json.as_ref().ok().and_then(|b| b["inputs"].as_array());
        if inputs.is_some_and(|inputs| self.faults.poisoned(inputs)) {
            return Refusal::plain(500, "internal error").into();
        }
        let reply = api::answer(route, self, call).unwrap_or_else(Reply::from);
        let applied = write && (200..300).contains(&reply.status);
        let fail = self.faults.apply_then_fail.as_mut().filter(|_| applied);
        let Some(how) = fail.and_then(|f| spend(&mut f.remaining).then_some((f.how, f.status)))
        else {
            return reply;
        };
        match how {
            (FailHow::Status, status) => Reply::gateway(status),
            (FailHow::Cut, _) => cut(),
            (FailHow::Hang, _) => Reply { payload: Payload::Hang, ..cut() },
        }
    }

    /// Whether this is the account's token.
    pub(crate) fn accepts(&self, token: Option<&str>) -> bool {
        !self.faults.revoke_token && token == Some(self.settings.token.as_str())
    }

    /// Returns the current scopes of the token.
    pub(crate) fn granted_scopes(&self) -> BTreeSet<String> {
        let granted = self.settings.scopes.clone().unwrap_or_else(all_scopes);
        granted.into_iter().filter(|s| !self.faults.deny_scopes.contains(s)).collect()
    }
}

/// Returns every scope that the simulator checks.
fn all_scopes() -> Vec<String> {
    let mut scopes = vec!["oauth".to_owned(), "crm.objects.owners.read".to_owned()];
    for of in ["contacts", "companies", "deals", "tickets"] {
        for area in ["objects", "schemas"] {
            scopes.extend(["read", "write"].map(|act| format!("crm.{area}.{of}.{act}")));
        }
    }
    scopes
}

/// Whether a scope is granted. The old scope `tickets` includes all scopes for tickets.
fn covers(granted: &BTreeSet<String>, scope: &str) -> bool {
    granted.contains(scope) || (scope.contains(".tickets.") && granted.contains("tickets"))
}

fn unauthenticated() -> Refusal {
    Refusal::plain(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you \
         can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )
    .category("INVALID_AUTHENTICATION")
}

/// Builds the refusal. Calls on definitions list the missing scopes at the top, calls on records
/// inside `errors`.
fn missing_scopes(route: &Route, lacking: &[String]) -> Refusal {
    const LINK: &str = "https://developers.hubspot.com/scopes";
    let one_or_more = "One or more of the following scopes are required.";
    if matches!(route.area, Area::Objects(_) | Area::Associations(..)) {
        let message = format!(
            "This app hasn't been granted all required scopes to make this call. Read more about \
             required scopes here: {LINK}."
        );
        let inner = serde_json::json!([
            {"message": one_or_more, "context": {"requiredGranularScopes": lacking}}
        ]);
        return Refusal::plain(403, message)
            .category("MISSING_SCOPES")
            .with("errors", inner)
            .with("links", serde_json::json!({"scopes": LINK}));
    }
    Refusal::plain(403, one_or_more)
        .category("MISSING_SCOPES")
        .context("requiredGranularScopes", lacking)
        .context("links", &[LINK])
}
