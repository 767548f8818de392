//! The sandbox over real HTTP: the behaviour a client has to live with.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod batches;
mod faults;
mod limits_and_moves;
mod schema;

use std::collections::BTreeSet;
use std::time::Duration;

use hubspot_sandbox::{
    ApplyThenFail, DropInputs, FailHow, Faults, Locked, Migrating, Outage, Poison, Sandbox,
    Settings,
};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

const UPSERT: &str = "/crm/objects/2026-09/contacts/batch/upsert";
const UPDATE: &str = "/crm/objects/2026-09/contacts/batch/update";
const READ: &str = "/crm/objects/2026-09/contacts/batch/read";

struct Account {
    sandbox: Sandbox,
    base: String,
    client: Client,
}

/// An account whose contacts and companies have the unique property `acme_id`.
async fn account() -> Account {
    account_with(Settings::default()).await
}

async fn account_with(settings: Settings) -> Account {
    let sandbox = Sandbox::new(settings);
    for (kind, group) in [("contacts", "contactinformation"), ("companies", "companyinformation")] {
        assert!(sandbox.define_property(kind, &unique_property("acme_id", group)));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(sandbox.clone().serve(listener, std::future::pending()));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    Account { sandbox, base, client }
}

fn unique_property(name: &str, group: &str) -> Value {
    json!({
        "name": name, "label": name, "type": "string", "fieldType": "text", "groupName": group,
        "hasUniqueValue": true,
    })
}

impl Account {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.bearer_auth("sandbox-token");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let reply = self.send(method, path, (!body.is_null()).then_some(body)).await;
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Value::Null).await
    }

    async fn upsert(&self, inputs: Value) -> (u16, Value) {
        self.post(UPSERT, json!({"inputs": inputs})).await
    }
}

/// An input of a batch upsert by `acme_id`, whose trace id is its key.
fn input(key: &str, properties: Value) -> Value {
    let mut input = untraced(key, properties);
    input["objectWriteTraceId"] = key.into();
    input
}

fn untraced(key: &str, mut properties: Value) -> Value {
    properties["acme_id"] = key.into();
    json!({"id": key, "idProperty": "acme_id", "properties": properties})
}

fn result<'a>(reply: &'a Value, trace_id: &str) -> &'a Value {
    let results = reply["results"].as_array().unwrap();
    results.iter().find(|r| r["objectWriteTraceId"] == trace_id).unwrap()
}
