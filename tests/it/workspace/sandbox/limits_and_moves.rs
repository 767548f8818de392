//! Quotas, tokens, merges, the recycle bin and erasure.

use super::*;

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
    // Within a second, sooner or later.
    let mut refused = None;
    for _ in 0..100 {
        let (status, body) = account.post(search, json!({})).await;
        if status == 429 {
            refused = body["category"].as_str().map(str::to_owned);
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("RATE_LIMITS"));
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
