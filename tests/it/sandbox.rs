//! The sandbox over real HTTP: the behaviour a client has to live with.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use hubferry::sandbox::{
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

#[tokio::test]
async fn an_upsert_of_a_new_key_creates_and_a_replay_does_not() {
    let account = account().await;
    let inputs = json!([input("u-1", json!({"email": "Ann@Example.com", "firstname": "Ann"}))]);
    let (status, first) = account.upsert(inputs.clone()).await;
    assert_eq!(status, 200);
    assert_eq!(first["results"][0]["new"], true);
    assert_eq!(first["results"][0]["properties"]["email"], "ann@example.com");
    assert!(first.get("errors").is_none() && first.get("numErrors").is_none());
    let (status, again) = account.upsert(inputs).await;
    assert_eq!(status, 200);
    assert_eq!(again["results"][0]["new"], false);
    assert_eq!(again["results"][0]["id"], first["results"][0]["id"]);
    assert_eq!(account.sandbox.objects("contacts").len(), 1);
}

#[tokio::test]
async fn results_come_in_another_order_than_the_inputs() {
    let account = account().await;
    let keys: Vec<String> = (0..40).map(|n| format!("u-{n}")).collect();
    let inputs: Vec<Value> = keys.iter().map(|k| input(k, json!({"firstname": "A"}))).collect();
    let (_, reply) = account.upsert(inputs.into()).await;
    let order: Vec<&str> = reply["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["objectWriteTraceId"].as_str().unwrap())
        .collect();
    assert_ne!(order, keys);
    assert_eq!(order.iter().copied().collect::<BTreeSet<_>>().len(), 40);
}

#[tokio::test]
async fn one_bad_input_with_trace_ids_is_a_207_that_names_it() {
    let account = account().await;
    let inputs = json!([
        input("u-1", json!({"email": "ann@example.com"})),
        input("u-2", json!({"email": "nope"})),
        input("u-3", json!({"lifecyclestage": "king", "firstname": "C"})),
    ]);
    let (status, reply) = account.upsert(inputs).await;
    assert_eq!(status, 207);
    assert_eq!(reply["numErrors"], 2);
    assert_eq!(result(&reply, "u-1")["new"], true);
    let error = &reply["errors"][0];
    assert_eq!(error["context"]["objectWriteTraceId"], json!(["u-2"]));
    assert_eq!(error["category"], "VALIDATION_ERROR");
    assert!(error["message"].as_str().unwrap().contains("INVALID_EMAIL"));
    assert!(reply["errors"][1]["message"].as_str().unwrap().contains("INVALID_OPTION"));
    assert_eq!(account.sandbox.objects("contacts").len(), 1);
}

#[tokio::test]
async fn one_bad_input_without_trace_ids_refuses_the_batch_and_writes_nothing() {
    let account = account().await;
    let inputs = json!([
        untraced("u-1", json!({"email": "ann@example.com"})),
        untraced("u-2", json!({"firstname": "B", "acme_plann": "x"})),
    ]);
    let (status, reply) = account.upsert(inputs).await;
    assert_eq!(status, 400);
    assert_eq!(reply["errors"][0]["code"], "PROPERTY_DOESNT_EXIST");
    assert_eq!(reply["errors"][0]["context"]["propertyName"], json!(["acme_plann"]));
    assert!(account.sandbox.objects("contacts").is_empty());
}

#[tokio::test]
async fn a_refused_batch_takes_its_updates_back() {
    let account = account().await;
    let id = account.sandbox.create("contacts", &[("acme_id", "u-1"), ("firstname", "Ann")]);
    let inputs = json!([
        untraced("u-1", json!({"firstname": "Changed"})),
        untraced("u-2", json!({"email": "nope"})),
    ]);
    assert_eq!(account.upsert(inputs).await.0, 400);
    let ann = &account.sandbox.objects("contacts")[0];
    assert_eq!((ann.id.as_str(), ann.properties["firstname"].as_str()), (id.as_str(), "Ann"));
}

#[tokio::test]
async fn the_same_id_twice_refuses_the_batch_whatever_the_trace_ids() {
    let account = account().await;
    let mut second = input("u-1", json!({"firstname": "B"}));
    second["objectWriteTraceId"] = "other".into();
    let (status, reply) =
        account.upsert(json!([input("u-1", json!({"firstname": "A"})), second])).await;
    assert_eq!(status, 400);
    assert_eq!(reply["context"]["ids"], json!(["u-1"]));
    assert_eq!(reply["message"], "Duplicate IDs found in batch input: [u-1]. IDs must be unique");
}

#[tokio::test]
async fn two_ids_of_one_record_in_a_batch_are_refused() {
    let account = account().await;
    let a = account.sandbox.create("contacts", &[("firstname", "A")]);
    let b = account.sandbox.create("contacts", &[("firstname", "B")]);
    let survivor = account.sandbox.merge("contacts", &a, &b).unwrap();
    let inputs = json!([
        {"id": a, "properties": {"city": "Lyon"}, "objectWriteTraceId": "0"},
        {"id": b, "properties": {"city": "Nice"}, "objectWriteTraceId": "1"},
    ]);
    let (status, reply) = account.post(UPDATE, json!({"inputs": inputs})).await;
    assert_eq!((status, &reply["context"]["ids"]), (400, &json!([survivor])));
}

#[tokio::test]
async fn requests_of_the_wrong_form_are_refused_as_a_whole() {
    let account = account().await;
    let many: Vec<Value> =
        (0..101).map(|n| input(&format!("u-{n}"), json!({"firstname": "A"}))).collect();
    let (status, reply) = account.upsert(many.into()).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("supported in a batch is 100"));

    let (status, reply) = account.upsert(json!([input("u-1", json!({"city": ["a"]}))])).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("JsonToken.START_ARRAY"));
    assert!(reply.get("category").is_none());

    let mut by_name = input("u-1", json!({}));
    by_name["idProperty"] = "firstname".into();
    let (status, reply) = account.upsert(json!([by_name])).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("non-unique 0-1 property firstname"));

    let (status, reply) = account.post(UPSERT, Value::Null).await;
    assert_eq!((status, reply["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    assert_eq!(account.upsert(json!([])).await.0, 400);
    let (status, reply) = account.get("/crm/objects/2026-09/widgets").await;
    assert_eq!(status, 400);
    assert_eq!(reply["message"], "Unable to infer object type from: widgets");
    assert_eq!(account.get("/crm/objects/2027-09/contacts").await.0, 404);
}

#[tokio::test]
async fn an_address_of_another_contact_is_a_conflict_with_its_id() {
    let account = account().await;
    let owner = account.sandbox.create("contacts", &[("email", "ann@example.com")]);
    let taken = json!({"email": "ANN@example.com"});
    let (status, reply) = account.upsert(json!([input("u-1", taken.clone())])).await;
    assert_eq!(status, 207);
    let error = &reply["errors"][0];
    assert_eq!(error["category"], "CONFLICT");
    assert_eq!(error["context"], json!({"objectWriteTraceId": ["u-1"], "existingId": [owner]}));
    let (status, reply) = account.upsert(json!([untraced("u-1", taken.clone())])).await;
    assert_eq!(status, 409);
    assert_eq!(reply["message"], format!("Contact already exists. Existing ID: {owner}"));

    account.sandbox.set_faults(Faults { conflict_without_id: true, ..Faults::default() });
    let (_, reply) = account.upsert(json!([input("u-1", taken)])).await;
    assert_eq!(reply["errors"][0]["message"], "Contact already exists");
    assert!(reply["errors"][0]["context"].get("existingId").is_none());
}

#[tokio::test]
async fn a_secondary_address_belongs_to_its_contact_too() {
    let account = account().await;
    let properties = [("email", "ann@example.com"), ("hs_additional_emails", "a@x.com;b@x.com")];
    let owner = account.sandbox.create("contacts", &properties);
    let (status, _) = account.upsert(json!([input("u-1", json!({"email": "b@x.com"}))])).await;
    assert_eq!(status, 207);
    let body = json!({"inputs": [{"id": "B@x.com"}], "properties": ["email"],
        "idProperty": "email", "propertiesWithHistory": []});
    let (status, reply) = account.post(READ, body).await;
    assert_eq!(status, 200);
    assert_eq!(reply["results"][0]["id"], owner);
    assert_eq!(reply["results"][0]["properties"]["email"], "ann@example.com");
}

#[tokio::test]
async fn a_unique_value_of_another_record_is_refused_with_both_ids() {
    let account = account().await;
    let owner = account.sandbox.create("companies", &[("acme_id", "b-1")]);
    let other = account.sandbox.create("companies", &[("name", "Other")]);
    let path = format!("/crm/objects/2026-09/companies/{other}");
    let body = json!({"properties": {"acme_id": "b-1"}});
    let (status, reply) = account.call(Method::PATCH, &path, body).await;
    assert_eq!((status, reply["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    let message = reply["message"].as_str().unwrap();
    assert!(message.ends_with(&format!("on {other}. {owner} already has that value.")));
    assert!(message.contains("objectTypeId=0-2, propertyName=acme_id, value=b-1"));
}

#[tokio::test]
async fn the_rolling_window_refuses_the_call_beyond_the_limit() {
    let account = account_with(Settings { limit_per_10s: 5, ..Settings::default() }).await;
    let path = "/crm/objects/2026-09/contacts";
    for left in ["4", "3", "2", "1", "0"] {
        let reply = account.send(Method::GET, path, None).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["x-hubspot-ratelimit-remaining"], left);
        assert_eq!(reply.headers()["x-hubspot-ratelimit-max"], "5");
    }
    let reply = account.send(Method::GET, path, None).await;
    assert_eq!(reply.status(), 429);
    assert!(reply.headers().get("retry-after").is_none());
    assert_eq!(reply.headers()["x-hubspot-ratelimit-interval-milliseconds"], "10000");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["policyName"], "TEN_SECONDLY_ROLLING");
    assert_eq!(account.sandbox.peak_window(), 6);
    assert_eq!(account.sandbox.calls().iter().filter(|c| c.status == 429).count(), 1);
}

#[tokio::test]
async fn the_day_and_the_search_second_have_limits_of_their_own() {
    let account = account_with(Settings { search_per_second: 1, ..Settings::default() }).await;
    let search = "/crm/v3/objects/contacts/search";
    let reply = account.send(Method::POST, search, Some(json!({}))).await;
    assert_eq!(reply.status(), 200);
    assert!(reply.headers().get("x-hubspot-ratelimit-max").is_none());
    let (status, body) = account.post(search, json!({})).await;
    assert_eq!((status, body["category"].as_str()), (429, Some("RATE_LIMITS")));
    assert_eq!(account.sandbox.peak_window(), 0);

    account.sandbox.set_faults(Faults { daily_remaining: Some(1), ..Faults::default() });
    assert_eq!(account.get("/crm/v3/owners/").await.0, 200);
    let (status, body) = account.get("/crm/v3/owners/").await;
    assert_eq!((status, body["policyName"].as_str()), (429, Some("DAILY")));
    account.sandbox.set_faults(Faults::default());
    assert_eq!(account.get("/crm/v3/owners/").await.0, 200);
}

#[tokio::test]
async fn another_integration_takes_its_share_of_the_window() {
    let account = account_with(Settings { limit_per_10s: 5, ..Settings::default() }).await;
    account.sandbox.set_faults(Faults { other_consumer_per_10s: Some(4), ..Faults::default() });
    assert_eq!(account.get("/crm/v3/owners/").await.0, 200);
    assert_eq!(account.get("/crm/v3/owners/").await.0, 429);
}

#[tokio::test]
async fn a_wrong_token_and_a_lacking_scope_are_refused_uncounted() {
    let account = account().await;
    let reply = account.client.get(format!("{}/crm/v3/owners/", account.base)).send().await;
    assert_eq!(reply.unwrap().status(), 401);
    let denied = vec!["crm.objects.contacts.write".to_owned()];
    account.sandbox.set_faults(Faults { deny_scopes: denied.clone(), ..Faults::default() });
    let (status, reply) = account.upsert(json!([input("u-1", json!({"firstname": "A"}))])).await;
    assert_eq!((status, reply["category"].as_str()), (403, Some("MISSING_SCOPES")));
    assert_eq!(reply["errors"][0]["context"]["requiredGranularScopes"], json!(denied));
    assert_eq!(account.get("/crm/v3/objects/contacts").await.0, 200);
    account.sandbox.set_faults(Faults { revoke_token: true, ..Faults::default() });
    assert_eq!(account.get("/crm/v3/objects/contacts").await.0, 401);
    assert_eq!(account.sandbox.calls().iter().filter(|c| c.rate_counted).count(), 1);
}

#[tokio::test]
async fn a_merge_makes_a_new_record_and_both_old_ids_lead_to_it() {
    let account = account().await;
    let a = account.sandbox.create("contacts", &[("email", "a@x.com"), ("acme_id", "u-1")]);
    let b = account.sandbox.create("contacts", &[("email", "b@x.com"), ("city", "Lyon")]);
    let company = account.sandbox.create("companies", &[("name", "X")]);
    let path =
        format!("/crm/objects/2026-09/contacts/{b}/associations/default/companies/{company}");
    assert_eq!(account.call(Method::PUT, &path, Value::Null).await.0, 200);
    let body = json!({"primaryObjectId": a, "objectIdToMerge": b});
    let (status, reply) = account.post("/crm/objects/2026-09/contacts/merge", body).await;
    assert_eq!(status, 200);
    let survivor = reply["id"].as_str().unwrap();
    assert!(survivor != a && survivor != b);
    let body = json!({"inputs": [{"id": b, "properties": {"jobtitle": "Chef"}}]});
    let (status, reply) = account.post(UPDATE, body).await;
    assert_eq!((status, reply["results"][0]["id"].as_str()), (200, Some(survivor)));
    let record = &account.sandbox.objects("contacts")[0];
    assert_eq!(record.properties["email"], "a@x.com");
    assert_eq!(record.properties["hs_additional_emails"], "b@x.com");
    assert_eq!(record.properties["hs_merged_object_ids"], format!("{a};{b}"));
    assert_eq!(record.properties["city"], "Lyon");
    assert!(account.sandbox.associations().iter().any(|l| l.from_id == survivor));
}

#[tokio::test]
async fn a_merge_can_keep_the_id_of_the_primary_record() {
    let account = account().await;
    account.sandbox.set_faults(Faults { merge_keeps_primary_id: true, ..Faults::default() });
    let a = account.sandbox.create("contacts", &[("firstname", "A")]);
    let b = account.sandbox.create("contacts", &[("firstname", "B")]);
    assert_eq!(account.sandbox.merge("contacts", &a, &b), Some(a.clone()));
    let (_, reply) = account.get(&format!("/crm/v3/objects/contacts/{b}")).await;
    assert_eq!(reply["id"], a);
}

#[tokio::test]
async fn an_archived_record_is_not_found_and_frees_its_key() {
    let account = account().await;
    let id = account.sandbox.create("contacts", &[("acme_id", "u-1"), ("firstname", "A")]);
    let path = format!("/crm/objects/2026-09/contacts/{id}");
    assert_eq!(account.call(Method::DELETE, &path, Value::Null).await.0, 204);
    let (status, reply) = account.get(&path).await;
    assert_eq!(status, 404);
    assert!(reply.get("category").is_none());
    assert_eq!(account.get(&format!("{path}?archived=true")).await.1["archived"], true);
    let body = json!({"inputs": [
        {"id": id, "properties": {"city": "x"}, "objectWriteTraceId": "0"},
        {"id": "999", "properties": {"city": "x"}, "objectWriteTraceId": "1"},
    ]});
    let (status, reply) = account.post(UPDATE, body).await;
    assert_eq!(status, 207);
    assert_eq!(reply["errors"][0]["category"], "OBJECT_NOT_FOUND");
    assert_eq!(reply["errors"][0]["context"], json!({"ids": [id, "999"]}));
    let (_, reply) = account.upsert(json!([input("u-1", json!({"firstname": "A"}))])).await;
    assert_eq!(reply["results"][0]["new"], true);
    let new = reply["results"][0]["id"].as_str().unwrap().to_owned();

    account.sandbox.set_faults(Faults { keep_unique_on_archive: true, ..Faults::default() });
    assert!(account.sandbox.archive("contacts", &new));
    let (status, reply) = account.upsert(json!([input("u-1", json!({"firstname": "A"}))])).await;
    assert_eq!(status, 207);
    assert!(reply["errors"][0]["message"].as_str().unwrap().contains("already has that value"));
}

#[tokio::test]
async fn an_erased_address_is_never_taken_again() {
    let account = account().await;
    let id = account.sandbox.create("contacts", &[("email", "ann@example.com")]);
    let erase = "/crm/objects/2026-09/contacts/gdpr-delete";
    assert_eq!(account.post(erase, json!({"objectId": id})).await.0, 204);
    assert_eq!(account.post(erase, json!({"objectId": id})).await.0, 404);
    let (status, reply) =
        account.upsert(json!([untraced("u-1", json!({"email": "Ann@example.com"}))])).await;
    assert_eq!((status, reply["category"].as_str()), (400, Some("VALIDATION_ERROR")));
}

#[tokio::test]
async fn an_association_stands_in_both_directions_and_the_first_company_is_primary() {
    let account = account().await;
    let contact = account.sandbox.create("contacts", &[("firstname", "A")]);
    let company = account.sandbox.create("companies", &[("name", "X")]);
    let second = account.sandbox.create("companies", &[("name", "Y")]);
    let inputs = json!([
        {"from": {"id": contact}, "to": {"id": company}},
        {"from": {"id": contact}, "to": {"id": second}},
        {"from": {"id": "none"}, "to": {"id": company}},
    ]);
    let path = "/crm/associations/2026-09/contacts/companies/batch/associate/default";
    let (status, reply) = account.post(path, json!({"inputs": inputs})).await;
    assert_eq!((status, reply["results"].as_array().unwrap().len()), (200, 4));
    assert_eq!(reply["errors"][0]["subCategory"], "crm.associations.INVALID_IDENTIFIER");
    let types = |from: &str, to: &str| -> Vec<u32> {
        let all = account.sandbox.associations();
        let these = all.iter().filter(|l| l.from_id == from && l.to_id == to);
        these.map(|l| l.type_id).collect()
    };
    assert_eq!(types(&contact, &company), [1, 279]);
    assert_eq!(types(&company, &contact), [2, 280]);
    assert_eq!(types(&contact, &second), [279]);

    let path = "/crm/associations/2026-09/contacts/companies/batch/archive";
    let body = json!({"inputs": [{"from": {"id": contact}, "to": [{"id": company}]}]});
    assert_eq!(account.post(path, body).await.0, 200);
    assert!(types(&contact, &company).is_empty() && types(&company, &contact).is_empty());
    let path = "/crm/associations/2026-09/contacts/companies/batch/read";
    let (status, reply) =
        account.post(path, json!({"inputs": [{"id": contact}, {"id": "77"}]})).await;
    assert_eq!(status, 207);
    assert_eq!(reply["results"][0]["to"][0]["toObjectId"].to_string(), second);
    assert_eq!(reply["errors"][0]["subCategory"], "crm.associations.NO_ASSOCIATIONS_FOUND");
}

#[tokio::test]
async fn a_type_of_another_pair_of_kinds_is_refused() {
    let account = account().await;
    let contact = account.sandbox.create("contacts", &[("firstname", "A")]);
    let company = account.sandbox.create("companies", &[("name", "X")]);
    let with = |id: u32| {
        json!({"inputs": [{"from": {"id": contact}, "to": {"id": company},
            "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": id}]}]})
    };
    let path = "/crm/associations/2026-09/contacts/companies/batch/create";
    let (status, reply) = account.post(path, with(280)).await;
    assert_eq!((status, reply["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    assert_eq!(account.post(path, with(279)).await.0, 201);
    let archive = "/crm/v4/associations/contacts/companies/batch/labels/archive";
    assert_eq!(account.post(archive, with(279)).await.0, 204);
    let types: Vec<u32> = account.sandbox.associations().iter().map(|l| l.type_id).collect();
    assert_eq!(types, [1, 2]);
}

#[tokio::test]
async fn a_unique_property_is_made_once() {
    let account = account().await;
    let path = "/crm/properties/2026-09/deals";
    let definition = unique_property("acme_deal", "dealinformation");
    let (status, reply) = account.post(path, definition.clone()).await;
    assert_eq!((status, &reply["hasUniqueValue"]), (201, &json!(true)));
    let (status, reply) = account.post(path, definition.clone()).await;
    assert_eq!(status, 409);
    assert_eq!(reply["subCategory"], "Properties.PROPERTY_WITH_NAME_EXISTS");
    let one = format!("{path}/acme_deal");
    let (status, reply) =
        account.call(Method::PATCH, &one, json!({"hasUniqueValue": false, "label": "L"})).await;
    assert_eq!(
        (status, &reply["hasUniqueValue"], &reply["label"]),
        (200, &json!(true), &json!("L"))
    );
    assert_eq!(account.call(Method::DELETE, &one, Value::Null).await.0, 204);
    assert_eq!(account.get(&one).await.0, 404);
    assert_eq!(account.post(path, definition).await.0, 201);
    let (_, all) = account.get("/crm/v3/properties/companies").await;
    let industry = all["results"].as_array().unwrap().iter().find(|p| p["name"] == "industry");
    assert_eq!(industry.unwrap()["options"].as_array().unwrap().len(), 148);
}

#[tokio::test]
async fn deals_need_a_stage_of_their_pipeline_and_a_currency_of_the_account() {
    let account = account().await;
    let path = "/crm/objects/2026-09/0-3";
    let (status, reply) = account.post(path, json!({"properties": {}})).await;
    assert_eq!((status, reply["errors"].as_array().unwrap().len()), (400, 3));
    assert_eq!(reply["errors"][0]["code"], "MISSING_REQUIRED_PROPERTY");
    let deal = |stage: &str, currency: &str| {
        json!({"properties": {"dealname": "D", "dealstage": stage, "amount": "24.00",
            "deal_currency_code": currency}})
    };
    assert_eq!(account.post(path, deal("nowhere", "EUR")).await.0, 400);
    assert_eq!(account.post(path, deal("closedwon", "GBP")).await.0, 400);
    let (status, reply) = account.post(path, deal("closedwon", "USD")).await;
    assert_eq!(status, 201);
    assert_eq!(reply["properties"]["amount"], "24.00");
    assert_eq!(reply["properties"]["hs_deal_stage_probability"], "1.0");
    let (_, pipelines) = account.get("/crm/pipelines/2026-09/deals").await;
    assert_eq!(pipelines["results"][0]["stages"][5]["metadata"]["isClosed"], "true");
}

#[tokio::test]
async fn a_lifecycle_stage_never_goes_back_and_read_only_values_are_refused() {
    let account = account().await;
    let id =
        account.sandbox.create("contacts", &[("email", "a@x.com"), ("lifecyclestage", "lead")]);
    let path = format!("/crm/v3/objects/contacts/{id}");
    for (sent, kept) in [("customer", "customer"), ("lead", "customer"), ("", ""), ("lead", "lead")]
    {
        let body = json!({"properties": {"lifecyclestage": sent}});
        let (status, reply) = account.call(Method::PATCH, &path, body).await;
        assert_eq!((status, reply["properties"]["lifecyclestage"].as_str()), (200, Some(kept)));
    }
    let body = json!({"properties": {"createdate": "2026-10-01"}});
    let (status, reply) = account.call(Method::PATCH, &path, body).await;
    assert_eq!((status, reply["errors"][0]["code"].as_str()), (400, Some("READ_ONLY_VALUE")));
    let by_email = "/crm/v3/objects/contacts/A%40x.com?idProperty=email";
    let body = json!({"properties": {"city": "Lyon"}});
    assert_eq!(account.call(Method::PATCH, by_email, body).await.1["id"], id);
}

#[tokio::test]
async fn the_newest_version_cuts_a_date_and_warns_where_the_old_one_refuses() {
    let account = account().await;
    let definition = json!({"name": "acme_day", "label": "Day", "type": "date",
        "fieldType": "date", "groupName": "companyinformation"});
    assert!(account.sandbox.define_property("companies", &definition));
    let body = json!({"properties": {"acme_day": "2026-10-01T10:30:00Z"}});
    assert_eq!(account.post("/crm/v3/objects/companies", body.clone()).await.0, 400);
    let (status, reply) = account.post("/crm/objects/2026-09/companies", body).await;
    assert_eq!((status, reply["properties"]["acme_day"].as_str()), (201, Some("2026-10-01")));
    assert_eq!(reply["warnings"][0]["context"]["normalizedValue"], "2026-10-01");
}

#[tokio::test]
async fn a_dropped_input_is_in_neither_results_nor_errors() {
    let account = account().await;
    let drop = DropInputs { keys: vec!["u-2".into()], remaining: Some(1), ..DropInputs::default() };
    account.sandbox.set_faults(Faults { drop_inputs: Some(drop), ..Faults::default() });
    let inputs = json!([
        input("u-1", json!({"firstname": "A"})),
        input("u-2", json!({"firstname": "B"})),
        input("u-3", json!({"email": "nope"})),
    ]);
    let (status, reply) = account.upsert(inputs.clone()).await;
    assert_eq!(status, 207);
    assert!(!reply.to_string().contains("u-2"));
    let (_, reply) = account.upsert(inputs).await;
    assert_eq!(result(&reply, "u-2")["new"], true);
}

#[tokio::test]
async fn a_write_can_take_place_although_the_caller_is_told_it_failed() {
    let account = account().await;
    let fail = |how, status| {
        let fail = ApplyThenFail { how, status, remaining: Some(1) };
        Faults { apply_then_fail: Some(fail), ..Faults::default() }
    };
    account.sandbox.set_faults(fail(FailHow::Status, 524));
    let one = json!([input("u-1", json!({"firstname": "A"}))]);
    let (status, page) = account.upsert(one.clone()).await;
    assert_eq!(status, 524);
    assert!(page.as_str().unwrap().contains("<html>"));
    assert_eq!(account.sandbox.objects("contacts").len(), 1);
    let (_, reply) = account.upsert(one).await;
    assert_eq!(reply["results"][0]["new"], false);

    account.sandbox.set_faults(fail(FailHow::Cut, 502));
    let request = account.client.post(format!("{}{UPSERT}", account.base));
    let two = json!({"inputs": [input("u-2", json!({"firstname": "B"}))]});
    let sent = request.bearer_auth("sandbox-token").json(&two).send().await;
    let told = match sent {
        Ok(reply) => reply.text().await.err(),
        Err(e) => Some(e),
    };
    assert!(told.is_some());
    assert_eq!(account.sandbox.objects("contacts").len(), 2);
    assert_eq!(account.sandbox.calls().last().unwrap().status, 0);
}

#[tokio::test]
async fn outages_locks_and_migrations_carry_nothing_out() {
    let account = account().await;
    let one = json!([input("u-1", json!({"firstname": "A"}))]);
    let outage = Outage { status: 502, remaining: Some(1), html: true };
    account.sandbox.set_faults(Faults { outage: Some(outage), ..Faults::default() });
    let (status, page) = account.upsert(one.clone()).await;
    assert_eq!((status, page.as_str().is_some_and(|p| p.contains("502"))), (502, true));
    let lock = Some(Locked { remaining: Some(1) });
    account.sandbox.set_faults(Faults { lock_423: lock, ..Faults::default() });
    assert_eq!(account.get("/crm/v3/objects/contacts").await.0, 200);
    assert_eq!(account.upsert(one.clone()).await.0, 423);
    let moving = Some(Migrating { retry_after_s: 60, remaining: Some(1) });
    account.sandbox.set_faults(Faults { migrating_477: moving, ..Faults::default() });
    let reply = account.send(Method::POST, UPSERT, Some(json!({"inputs": one}))).await;
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["retry-after"]),
        (477, &"60".parse().unwrap())
    );
    let poison = Some(Poison { keys: vec!["u-1".into()] });
    account.sandbox.set_faults(Faults { poison, ..Faults::default() });
    assert_eq!(account.upsert(one.clone()).await.0, 500);
    account.sandbox.set_faults(Faults { hang_ms: Some(10), ..Faults::default() });
    let request = account.client.post(format!("{}{UPSERT}", account.base));
    let sent = request.bearer_auth("sandbox-token").json(&json!({"inputs": one})).send().await;
    assert!(match sent {
        Ok(reply) => reply.text().await.is_err(),
        Err(_) => true,
    });
    assert!(account.sandbox.objects("contacts").is_empty());
}

#[tokio::test]
async fn error_items_can_be_made_hard_to_read() {
    let account = account().await;
    account.sandbox.set_faults(Faults {
        error_items_without_context: true,
        num_errors_lies: true,
        missing_category: true,
        missing_rate_headers: true,
        no_trace_echo: true,
        ..Faults::default()
    });
    let inputs =
        json!([input("u-1", json!({"firstname": "A"})), input("u-2", json!({"email": "nope"})),]);
    let reply = account.send(Method::POST, UPSERT, Some(json!({"inputs": inputs}))).await;
    assert!(reply.headers().get("x-hubspot-ratelimit-max").is_none());
    let reply: Value = reply.json().await.unwrap();
    assert_eq!(reply["numErrors"], 36);
    assert!(reply["errors"][0].get("context").is_none());
    assert!(reply["errors"][0].get("category").is_none());
    assert!(reply["results"][0].get("objectWriteTraceId").is_none());
}

#[tokio::test]
async fn the_search_index_is_late() {
    let account = account().await;
    let id = account.sandbox.create("contacts", &[("email", "ann@example.com")]);
    let body = json!({"filterGroups": [{"filters": [
        {"propertyName": "email", "operator": "EQ", "value": "ann@example.com"}]}]});
    let path = "/crm/objects/2026-09/contacts/search";
    let (_, reply) = account.post(path, body.clone()).await;
    assert_eq!((&reply["total"], reply["results"][0]["id"].as_str()), (&json!(1), Some(&*id)));
    account.sandbox.set_faults(Faults { search_delay_ms: 60_000, ..Faults::default() });
    assert_eq!(account.post(path, body).await.1["total"], 0);
}

#[tokio::test]
async fn the_account_tells_who_it_is() {
    let account = account().await;
    let (status, details) = account.get("/account-info/2026-09/details").await;
    assert_eq!((status, &details["portalId"]), (200, &json!(1_234_567)));
    assert_eq!(details["timeZone"], "Europe/Paris");
    let (_, usage) = account.get("/account-info/v3/api-usage/daily/private-apps").await;
    assert_eq!(usage["results"][0]["currentUsage"], 2);
    let path = "/oauth/v2/private-apps/get/access-token-info";
    let (_, token) = account.post(path, json!({"tokenKey": "sandbox-token"})).await;
    assert_eq!(token["hubId"], 1_234_567);
    let (_, owners) = account.get("/crm/owners/2026-09?limit=1").await;
    assert_eq!(owners["paging"]["next"]["after"], "1");
}

#[tokio::test]
async fn the_control_endpoints_show_and_set_without_a_token() {
    let account = account().await;
    account.upsert(json!([input("u-1", json!({"firstname": "A"}))])).await;
    let at = |path: &str| format!("{}/_sandbox{path}", account.base);
    let get = async |path: &str| -> Value {
        account.client.get(at(path)).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(get("/objects/contacts").await["results"][0]["properties"]["acme_id"], "u-1");
    let calls = get("/calls").await;
    assert_eq!((&calls["peak_window"], &calls["results"][0]["inputs"]), (&json!(1), &json!(1)));
    assert!(get("").await.as_object().unwrap().len() > 8);
    let put = async |body: &str| {
        let reply = account.client.put(at("/faults")).body(body.to_owned()).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    let (status, text) = put(r#"{"outrage": true}"#).await;
    assert!(status == 400 && text.contains("outrage"), "{text}");
    assert_eq!(put(r#"{"outage": {"status": 200}}"#).await.0, 400);
    assert_eq!(put(r#"{"outage": {"status": 503, "remaining": 2}}"#).await.0, 200);
    assert_eq!(account.sandbox.faults().outage.unwrap().remaining, Some(2));
    account.client.post(at("/reset")).send().await.unwrap();
    assert!(account.sandbox.objects("contacts").is_empty());
    assert_eq!(account.sandbox.faults(), Faults::default());
}
