//! Faults that can be switched on, and the control endpoints.

use super::*;

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
