//! The OpenAPI document, generated from the handlers, and the page that shows it.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use std::collections::BTreeMap;

use axum::routing::get;
use utoipa::openapi::content::Content;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, Ref, RefOr, Required, Response, Server};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::events::{ingest, status};
use super::{AppState, health};

/// The description of error responses.
const REFUSAL: &str = "An error: `code` and `detail` say why";
/// The media type of error responses.
const PROBLEM: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "hubferry",
        description = "Sends what happens in an application to HubSpot CRM.\n\nSend events with an ingest key; read, retry and configure with a viewer, operator or admin key. Every error is an RFC 9457 problem document with a stable `code`."
    ),
    modifiers(&Bearer),
    security(("key" = [])),
    tags(
        (name = "events", description = "Events from backends: role `ingest`"),
        (name = "status", description = "The state of the service: role `viewer`"),
        (name = "queue", description = "Rows: role `viewer`, actions `operator`"),
        (name = "records", description = "HubSpot records: role `viewer`, actions `operator`"),
        (name = "gate", description = "Pause and resume: role `operator`"),
        (name = "logs", description = "Calls and attempts: role `viewer`"),
        (name = "audit", description = "Who did what: role `viewer`"),
        (name = "settings", description = "Runtime settings: role `viewer`, changes `admin`"),
        (name = "keys", description = "API keys: role `admin`"),
        (name = "health", description = "Health and metrics: no key")
    )
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A key of the settings, or one created with `hubferry keys create`"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// The routes for applications and monitoring, with their part of the document.
pub(super) fn events() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(ingest::post_events))
        .routes(routes!(status::show_event))
        .routes(routes!(status::event_status))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

/// Adds the responses that every operation can give, in one place instead of at each handler, and
/// marks every error as a problem document.
fn refusals(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let mut also = Vec::new();
            // The other operations need no key, so anybody who reaches the process can call them.
            if operation.security.is_none() {
                also.extend(["400", "401", "403", "429", "503"]);
            }
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                also.extend(["413", "422"]);
                if ["/admin/sync/retry", "/admin/sync/pause"].contains(&path.as_str()) {
                    body.required = Some(Required::False);
                }
            }
            let answers = &mut operation.responses.responses;
            for status in also {
                let refusal = || RefOr::T(Response::new(REFUSAL));
                answers.entry(status.to_owned()).or_insert_with(refusal);
            }
            for (status, answer) in answers {
                let RefOr::T(answer) = answer else { continue };
                if status.starts_with(['4', '5']) {
                    let schema = Ref::from_schema_name("ProblemBody");
                    answer.content.clear();
                    let content = Content::new(Some(schema));
                    answer.content.insert(PROBLEM.to_owned(), content.into());
                }
            }
        }
    }
}

/// Adds what linters and client generators require: a unique name for each operation, a description
/// of each response, a server, and a body of one event or several.
fn complete(document: &mut Document) {
    document.servers = Some(vec![Server::new("/")]);
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for operation in operations(document) {
        *names.entry(operation.operation_id.clone().unwrap_or_default()).or_default() += 1;
    }
    for operation in operations(document) {
        let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
        if let Some(name) = &mut operation.operation_id
            && names.get(name).is_some_and(|times| *times > 1)
        {
            *name = format!("{name}_{tag}");
        }
        let summary = operation.summary.clone().unwrap_or_else(|| "Done".to_owned());
        for (status, answer) in &mut operation.responses.responses {
            if let RefOr::T(answer) = answer
                && answer.description.is_empty()
            {
                let refused = status.starts_with(['4', '5']);
                answer.description = if refused { REFUSAL.to_owned() } else { summary.clone() };
            }
        }
    }
    let event = || Ref::from_schema_name("EventBody");
    let events = OneOfBuilder::new().item(event()).item(ArrayBuilder::new().items(event()));
    let post = document.paths.paths.get_mut("/v1/events").and_then(|item| item.post.as_mut());
    if let Some(RefOr::T(body)) = post.and_then(|post| post.request_body.as_mut())
        && let Some(RefOr::T(content)) = body.content.get_mut("application/json")
    {
        content.schema = Some(RefOr::T(events.build().into()));
    }
}

fn operations(document: &mut Document) -> impl Iterator<Item = &mut Operation> {
    document
        .paths
        .paths
        .values_mut()
        .flat_map(|item| [&mut item.get, &mut item.put, &mut item.post, &mut item.delete])
        .flatten()
}

/// The routes `/openapi.json` and `/docs`.
pub(super) fn routes(mut document: Document) -> Router<AppState> {
    refusals(&mut document);
    complete(&mut document);
    let config = Config::new(["/openapi.json"]).persist_authorization(false);
    let page: Router<AppState> = SwaggerUi::new("/docs").config(config).into();
    // Written once. Anybody may request the document, and a copy for each slow reader would use
    // much memory.
    let text = Bytes::from(document.to_json().unwrap_or_default());
    let json = [(header::CONTENT_TYPE, "application/json")];
    page.route("/openapi.json", get(async move || (json, text)))
}
