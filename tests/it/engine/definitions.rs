//! The account's schema: what does not fit is told before a call is spent on it.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use hubferry::mapping::Mapping;
use hubspot_sandbox::{ApplyThenFail, FailHow, Faults, Outage};
use serde_json::{Value, json};

use crate::support::files::files;
use crate::support::{Setup, World, event, row_id, user};

const TRADE: &str = "/crm/properties/2026-09/companies/hubferry_trade";

/// A world with these files.
async fn world(mapping: Option<Mapping>) -> World {
    World::with(Setup { mapping, ..Setup::default() }).await
}

impl World {
    /// Makes the trade of companies an enumeration of these values and labels.
    async fn trades(&self, options: &[(&str, &str)]) {
        self.hubspot("DELETE", TRADE, json!({})).await;
        let definition = json!({ "name": "hubferry_trade", "label": "Trade", "type": "enumeration",
            "fieldType": "select", "groupName": "hubferry", "options": listed(options) });
        assert!(self.sandbox.define_property("companies", &definition));
        self.sandbox.clear_calls();
    }

    async fn hubspot(&self, method: &str, path: &str, body: Value) {
        let method: reqwest::Method = method.parse().expect("a method");
        let url = format!("{}{path}", self.hubspot_url);
        let call = self.http.request(method, url).bearer_auth("sandbox-token").json(&body);
        assert!(call.send().await.expect("a reply").status().is_success());
    }

    fn reads(&self) -> usize {
        self.sandbox.calls().iter().filter(|call| call.method == "GET").count()
    }
}

fn listed(options: &[(&str, &str)]) -> Value {
    options.iter().map(|(value, label)| json!({ "value": value, "label": label })).collect()
}

fn business(id: &str, trade: &str) -> Value {
    let data = json!({ "name": "Dupont", "industry": trade });
    event(id, "business.updated", "b-1", &format!("2026-01-0{id}T10:00:00Z"), data)
}

fn deal(id: &str, data: Value) -> Value {
    event(id, "milestone.created", "m-1", &format!("2026-01-0{id}T10:00:00Z"), data)
}

fn warned(row: &Value) -> Vec<(&str, &str)> {
    let warnings = row["warnings"].as_array().expect("warnings").iter();
    warnings.filter_map(|w| Some((w["code"].as_str()?, w["property"].as_str()?))).collect()
}

#[tokio::test]
async fn an_unknown_option_is_left_out_with_a_warning_and_costs_no_further_call() {
    let world = World::new().await;
    world.trades(&[("PLUMB", "Plumbing"), ("ROOF", "Roofing")]).await;
    world.worker.load_definitions().await;
    let row = row_id(&world.accept(&business("1", "Falconry")).await, 0);
    assert_eq!(world.drain().await, 1);
    let shown = world.row(&row).await;
    assert_eq!(shown["status"], "synced", "{shown}");
    assert_eq!(warned(&shown), [("invalid_option", "hubferry_trade")]);
    let message = shown["warnings"][0]["message"].as_str().unwrap();
    assert!(message.contains("PLUMB, ROOF") && !message.contains("Falconry"), "{message}");
    let held = world.only("companies");
    assert_eq!((held["name"].as_str(), held.get("hubferry_trade")), ("Dupont", None));
    // It counts as dealt with: neither the record nor the same value again is due.
    let again = row_id(&world.accept(&business("2", "Falconry")).await, 0);
    assert_eq!(world.drain().await, 0);
    assert_eq!(world.row(&again).await["status"], "synced");
    // A new value that does not fit either costs nothing, and says so.
    let other = row_id(&world.accept(&business("3", "Alchemy")).await, 0);
    assert_eq!(world.drain().await, 0);
    assert_eq!(warned(&world.row(&other).await), [("invalid_option", "hubferry_trade")]);

    // Once HubSpot has the option, the value goes with all the rest.
    let options = listed(&[("ALCHEMY", "Alchemy")]);
    world.hubspot("PATCH", TRADE, json!({ "options": options })).await;
    world.worker.load_definitions().await;
    let id = world.sandbox.objects("companies")[0].id.clone();
    world.sandbox.archive("companies", &id);
    let data = json!({ "name": "Dupont & fils" });
    world.accept(&event("4", "business.updated", "b-1", "2026-01-04T10:00:00Z", data)).await;
    world.drain().await;
    assert_eq!(world.only("companies")["hubferry_trade"], "ALCHEMY");
}

#[tokio::test]
async fn a_label_is_sent_as_the_internal_value_that_it_stands_for() {
    let world = World::new().await;
    world.trades(&[("PLUMB", "Plumbing"), ("ROOF", "Roofing")]).await;
    world.worker.load_definitions().await;
    let row = row_id(&world.accept(&business("1", "plumbing")).await, 0);
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.only("companies")["hubferry_trade"], "PLUMB");
    assert_eq!(warned(&world.row(&row).await), []);
    world.accept(&business("2", "plumbing")).await;
    assert_eq!(world.drain().await, 0, "it has not changed");
}

#[tokio::test]
async fn read_only_properties_are_never_sent() {
    let field = "\n[[fields]]\nproperty = \"hs_object_id\"\nfrom = \"/record\"\n\n[associations]\n";
    let world = world(files(&[("user.toml", "\n[associations]\n", field)])).await;
    world.worker.load_definitions().await;
    let data = json!({ "email": "a@example.com", "record": "7" });
    let row = row_id(&world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await, 0);
    assert_eq!(world.drain().await, 1);
    let row = world.row(&row).await;
    assert_eq!(row["status"], "synced", "{row}");
    assert_eq!(warned(&row), [("read_only", "hs_object_id")]);
    assert_eq!(world.only("contacts")["email"], "a@example.com");
}

#[tokio::test]
async fn a_text_that_is_too_long_is_cut_between_characters() {
    let world = World::new().await;
    world.worker.load_definitions().await;
    let data = json!({ "name": "Deal", "status": "paid", "description": "é".repeat(65_540) });
    let row = row_id(&world.accept(&deal("1", data)).await, 0);
    assert_eq!(world.drain().await, 1);
    let row = world.row(&row).await;
    assert_eq!(
        (row["status"].as_str(), warned(&row)),
        (Some("synced"), vec![("truncated", "description")])
    );
    assert_eq!(world.only("deals")["description"], "é".repeat(65_536));
}

#[tokio::test]
async fn a_stage_that_its_pipeline_lacks_fails_its_row_before_a_call() {
    let option = "[tables.stage.options]\nlimbo = \"nowhere\"";
    let world = world(files(&[("milestone.toml", "[tables.stage.options]", option)])).await;
    world.worker.load_definitions().await;
    world.sandbox.clear_calls();
    let row = row_id(&world.accept(&deal("2", json!({ "name": "D", "status": "limbo" }))).await, 0);
    assert_eq!((world.drain().await, world.calls("deals")), (0, 0));
    let shown = world.row(&row).await;
    assert_eq!((shown["status"].as_str(), &shown["retry_count"]), (Some("failed"), &json!(0)));
    let error = &shown["error"];
    assert_eq!(
        (error["code"].as_str(), error["property"].as_str()),
        (Some("INVALID_PIPELINE_STAGE_ID"), Some("dealstage"))
    );
    assert!(error["hint"].as_str().unwrap().contains("appointmentscheduled, "), "{error}");
    assert!(!error.to_string().contains("nowhere"), "values are redacted");

    // The older stage of another row is what HubSpot gets.
    world.accept(&deal("1", json!({ "name": "D", "status": "paid" }))).await;
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.only("deals")["dealstage"], "closedwon");
}

#[tokio::test]
async fn an_amount_in_a_currency_that_the_account_lacks_fails_its_row_and_no_other() {
    let world = World::new().await;
    world.worker.load_definitions().await;
    let amount = |value: &str, currency: &str| {
        json!({ "name": "D", "status": "paid",
        "amount": { "value": value, "currency": currency } })
    };
    let rows = json!([deal("1", amount("1.00", "USD")), deal("2", amount("2.00", "GBP"))]);
    let answer = world.accept(&rows).await;
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");
    let failed = world.row(&row_id(&answer, 1)).await;
    assert_eq!(failed["error"]["property"], "deal_currency_code", "{failed}");
    assert!(failed["error"]["hint"].as_str().unwrap().contains("EUR, USD"), "{failed}");
    let held = world.only("deals");
    assert_eq!((held["amount"].as_str(), held["deal_currency_code"].as_str()), ("1.00", "USD"));
}

#[tokio::test]
async fn an_option_that_was_added_is_known_within_a_minute_and_the_retry_succeeds() {
    let (lists, more) = (r#"[["name", "domain"]]"#, r#"[["name", "domain"], ["hubferry_trade"]]"#);
    let world = world(files(&[("objects.toml", lists, more)])).await;
    world.trades(&[("PLUMB", "Plumbing")]).await;
    world.worker.load_definitions().await;
    let start = Instant::now();
    let row = row_id(&world.accept(&business("1", "Falconry")).await, 0);
    assert_eq!((world.drain().await, world.calls("")), (0, 0));
    let failed = world.row(&row).await;
    assert_eq!(failed["error"]["code"], "INVALID_OPTION", "{failed}");

    let options = listed(&[("PLUMB", "Plumbing"), ("FALCON", "Falconry")]);
    world.hubspot("PATCH", TRADE, json!({ "options": options })).await;
    world.sandbox.clear_calls();
    world.worker.refresh_definitions(start + Duration::from_secs(30)).await;
    assert_eq!(world.reads(), 0, "once a minute at most");
    world.worker.refresh_definitions(start + Duration::from_secs(61)).await;
    assert_eq!(world.reads(), 1, "of the kind in doubt only");
    world.worker.refresh_definitions(start + Duration::from_secs(300)).await;
    assert_eq!(world.reads(), 1, "nothing is in doubt any more");
    assert_eq!(world.admin("POST", &format!("/queue/{row}/retry"), None).await.0, 200);
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.row(&row).await["status"], "synced");
    assert_eq!(world.only("companies")["hubferry_trade"], "FALCON");
}

#[tokio::test]
async fn a_refusal_of_hubspots_brings_fresh_definitions() {
    let world = World::new().await;
    world.trades(&[("PLUMB", "Plumbing"), ("ROOF", "Roofing")]).await;
    world.worker.load_definitions().await;
    let start = Instant::now();
    let options = listed(&[("PLUMB", "Plumbing")]);
    world.hubspot("PATCH", TRADE, json!({ "options": options })).await;
    let row = row_id(&world.accept(&business("1", "Roofing")).await, 0);
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.row(&row).await["error"]["code"], "INVALID_OPTION");
    world.worker.refresh_definitions(start + Duration::from_secs(61)).await;
    world.admin("POST", &format!("/queue/{row}/retry"), None).await;
    assert_eq!(world.drain().await, 1);
    let row = world.row(&row).await;
    assert_eq!(
        (row["status"].as_str(), warned(&row)),
        (Some("synced"), vec![("invalid_option", "hubferry_trade")])
    );
}

#[tokio::test]
async fn without_a_readable_schema_hubspot_itself_refuses_and_the_rest_goes_on() {
    let world = World::new().await;
    let deny_scopes = vec!["crm.schemas.deals.read".to_owned()];
    world.sandbox.set_faults(Faults { deny_scopes, ..Faults::default() });
    world.worker.load_definitions().await;
    let amount = |currency: &str| {
        json!({ "name": "D", "status": "paid",
        "amount": { "value": "1.00", "currency": currency } })
    };
    let row = row_id(&world.accept(&deal("1", amount("GBP"))).await, 0);
    assert_eq!(world.drain().await, 1);
    let failed = world.row(&row).await;
    assert_eq!(failed["error"]["property"], "deal_currency_code", "{failed}");
    assert!(failed["error"]["http_status"].is_number(), "it was HubSpot: {failed}");
    world.accept(&deal("2", amount("EUR"))).await;
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.only("deals")["deal_currency_code"], "EUR");
}

#[tokio::test]
async fn an_outage_costs_one_reading_and_the_schema_is_asked_for_again_in_a_minute() {
    let world = World::new().await;
    world.trades(&[("PLUMB", "Plumbing")]).await;
    let outage = Some(Outage { status: 503, remaining: None, html: false });
    world.sandbox.set_faults(Faults { outage, ..Faults::default() });
    let start = Instant::now();
    world.worker.load_definitions().await;
    world.sandbox.set_faults(Faults::default());
    assert_eq!(world.reads(), 1);
    world.worker.refresh_definitions(start + Duration::from_secs(30)).await;
    assert_eq!(world.reads(), 1);
    world.worker.refresh_definitions(start + Duration::from_secs(61)).await;
    world.accept(&business("1", "plumbing")).await;
    world.drain().await;
    assert_eq!(world.only("companies")["hubferry_trade"], "PLUMB");
}

#[tokio::test]
async fn a_property_that_the_account_lacks_is_not_dropped_in_silence() {
    let world = World::new().await;
    world.hubspot("DELETE", TRADE, json!({})).await;
    world.worker.load_definitions().await;
    let row = row_id(&world.accept(&business("1", "Falconry")).await, 0);
    assert_eq!(world.drain().await, 1);
    let row = world.row(&row).await;
    assert_eq!(row["status"], "pending", "it waits behind the gate: {row}");
    assert!(world.get("/status").await.to_string().contains("PROPERTY_DOESNT_EXIST"));
}

/// The files with a lifecycle stage for contacts.
const STAGE: &str =
    "\n[[fields]]\nproperty = \"lifecyclestage\"\nfrom = \"/stage\"\n\n[associations]\n";

fn staged(id: &str, stage: &str) -> Value {
    let data = json!({ "email": "a@example.com", "first_name": id, "stage": stage });
    user(id, "u-1", &format!("2026-01-0{id}T10:00:00Z"), data)
}

#[tokio::test]
async fn a_lifecycle_stage_never_goes_back() {
    let world = world(files(&[("user.toml", "\n[associations]\n", STAGE)])).await;
    world.worker.load_definitions().await;
    world.accept(&staged("1", "customer")).await;
    world.drain().await;
    let row = row_id(&world.accept(&staged("2", "lead")).await, 0);
    assert_eq!(world.drain().await, 1);
    let row = world.row(&row).await;
    assert_eq!(
        (row["status"].as_str(), warned(&row)),
        (Some("synced"), vec![("stage_kept", "lifecyclestage")])
    );
    let held = world.only("contacts");
    assert_eq!((held["lifecyclestage"].as_str(), held["firstname"].as_str()), ("customer", "2"));
    world.accept(&staged("3", "evangelist")).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["lifecyclestage"], "evangelist");
}

#[tokio::test]
async fn a_lifecycle_stage_that_may_go_back_is_cleared_first() {
    let free = "email_property = \"email\"\nlifecycle = \"free\"";
    let changes = [
        ("user.toml", "\n[associations]\n", STAGE),
        ("objects.toml", "email_property = \"email\"", free),
    ];
    let world = world(files(&changes)).await;
    world.worker.load_definitions().await;
    world.accept(&staged("1", "customer")).await;
    world.drain().await;
    let row = row_id(&world.accept(&staged("2", "lead")).await, 0);
    assert_eq!(world.drain().await, 2);
    let row = world.row(&row).await;
    assert_eq!((row["status"].as_str(), warned(&row)), (Some("synced"), vec![]));
    let held = world.only("contacts");
    assert_eq!((held["lifecyclestage"].as_str(), held["firstname"].as_str()), ("lead", "2"));
    world.accept(&staged("3", "customer")).await;
    assert_eq!(world.drain().await, 1);
}

#[tokio::test]
async fn a_stage_goes_back_even_when_the_answer_to_its_clearing_is_lost() {
    let free = "email_property = \"email\"\nlifecycle = \"free\"";
    let changes = [
        ("user.toml", "\n[associations]\n", STAGE),
        ("objects.toml", "email_property = \"email\"", free),
    ];
    let world = world(files(&changes)).await;
    world.worker.load_definitions().await;
    world.accept(&staged("1", "customer")).await;
    world.drain().await;
    let lost = ApplyThenFail { how: FailHow::Status, status: 502, remaining: Some(1) };
    world.sandbox.set_faults(Faults { apply_then_fail: Some(lost), ..Faults::default() });
    let row = row_id(&world.accept(&staged("2", "lead")).await, 0);
    world.drain().await;
    assert_eq!(world.row(&row).await["status"], "retry");
    world.advance(TimeDelta::seconds(60));
    world.drain().await;
    let held = world.only("contacts");
    assert_eq!((held["lifecyclestage"].as_str(), held["firstname"].as_str()), ("lead", "2"));
    assert_eq!(world.row(&row).await["status"], "synced");
    assert_eq!(world.drain().await, 0);
}
