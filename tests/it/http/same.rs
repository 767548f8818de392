//! The API and the pages have the same limits, the same refusals and the same verbs.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::api::bad_deal;
use super::dashboard::{Browser, filled};
use crate::support::{World, event, row_id, user};

#[tokio::test]
async fn a_reason_for_a_pause_has_at_most_500_characters() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let (fits, long) = ("é".repeat(500), "é".repeat(501));
    let refused = world.admin("POST", "/pause", Some(json!({ "reason": long }))).await;
    assert_eq!((refused.0, &refused.1["code"]), (400, &json!("invalid_body")));
    let page = browser.submit("/admin/pause", &[("reason", &long)]).await;
    assert!(page.status == 400 && page.words().contains("at most 500 characters"), "{}", page.text);
    assert_eq!(world.get("/status").await["gate"]["state"], "open");

    let reason = async || world.get("/status").await["gate"]["reasons"][0]["reason"].clone();
    assert_eq!(browser.submit("/admin/pause", &[("reason", &fits)]).await.status, 303);
    assert_eq!(reason().await, json!(fits));
    let padded = json!({ "reason": format!("  {fits} ") });
    assert_eq!(world.admin("POST", "/pause", Some(padded)).await.0, 200);
    assert_eq!(reason().await, json!(fits), "blanks around it do not count");
}

#[tokio::test]
async fn a_search_text_has_at_most_512_characters() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    for (length, status) in [(512, 200), (513, 400)] {
        let q = "x".repeat(length);
        for list in ["queue", "records"] {
            let api = world.admin("GET", &format!("/{list}?q={q}"), None).await.0;
            let page = browser.get(&format!("/admin/{list}?q={q}")).await;
            assert_eq!((api, page.status), (status, status), "{list}, {length}");
            let told = page.words().contains("at most 512 characters");
            assert_eq!(told, status == 400, "{list}, {length}");
        }
    }
}

#[tokio::test]
async fn one_request_names_at_most_1000_rows() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    for verb in ["retry", "discard"] {
        let body = json!({ "ids": vec![1; 1_001] });
        let refused = world.admin("POST", &format!("/{verb}"), Some(body)).await;
        assert_eq!((refused.0, &refused.1["code"]), (400, &json!("invalid_body")));
        let page = browser.submit(&format!("/admin/queue/{verb}"), &[("id", "1"); 1_001]).await;
        assert!(page.status == 400 && page.words().contains("at most 1000 rows"), "{}", page.text);
        let body = json!({ "ids": vec![1; 1_000] });
        assert_eq!(world.admin("POST", &format!("/{verb}"), Some(body)).await.0, 200);
    }
}

#[tokio::test]
async fn a_discard_is_told_which_rows_or_that_all_are_meant() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let id = row_id(&world.accept(&bad_deal("1", "m-1")).await, 0);
    world.drain().await;
    let status = async || world.row(&id).await["discarded_at"] != Value::Null;
    let nothing =
        [json!({}), json!({ "status": "failed" }), json!({ "ids": [] }), json!({ "q": " " })];
    for body in nothing {
        let refused = world.admin("POST", "/discard", Some(body.clone())).await;
        assert_eq!((refused.0, &refused.1["code"]), (400, &json!("invalid_body")), "{body}");
    }
    for fields in [vec![("confirm", "yes")], vec![("status", "failed"), ("confirm", "yes")]] {
        let page = browser.submit("/admin/queue/discard", &fields).await;
        assert!(page.status == 400 && page.words().contains("which failed rows"), "{}", page.text);
    }
    assert!(!status().await, "nothing was discarded");
    let (_, look) = world.admin("POST", "/discard", Some(json!({ "dry_run": true }))).await;
    assert_eq!((&look["matching"], &look["discarded"]), (&json!(1), &json!(0)));
    assert_eq!(look["plan"][0]["external_id"], "m-1", "what would be lost: {look}");

    let (_, done) = world.admin("POST", "/discard", Some(json!({ "all": true }))).await;
    assert_eq!(done["discarded"], 1);
    assert_eq!(world.admin("POST", &format!("/queue/{id}/retry"), None).await.0, 200);
    world.drain().await;
    let all = [("all", "yes"), ("confirm", "yes")];
    assert_eq!(browser.submit("/admin/queue/discard", &all).await.status, 303);
    assert!(status().await);
}

#[tokio::test]
async fn a_row_that_is_not_failed_is_not_discarded() {
    let world = World::new().await;
    let [synced, ..] = filled(&world, "u-1", "u-2").await;
    let browser = Browser::admin(&world).await;
    let (status, answer) = world.admin("POST", &format!("/queue/{synced}/discard"), None).await;
    assert_eq!((status, &answer["code"]), (409, &json!("not_failed")));
    let fields = [("id", synced.as_str()), ("confirm", "yes")];
    let page = browser.submit("/admin/queue/discard", &fields).await;
    assert!(page.status == 409 && page.words().contains("The row is not failed"), "{}", page.text);
    let fields = [("id", "999999"), ("confirm", "yes")];
    assert_eq!(browser.submit("/admin/queue/discard", &fields).await.status, 404);
}

#[tokio::test]
async fn an_erased_subject_is_allowed_again_on_its_page() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let at = |hour: u32| format!("2026-01-01T{hour}:00:00Z");
    let data = json!({ "email": "a@example.com", "first_name": "Ada" });
    world.accept(&user("1", "u-1", &at(10), data)).await;
    world.drain().await;
    let path = "/admin/records/contact/u-1";
    let allow = format!("{path}/allow");
    assert!(!browser.get(path).await.ok().text.contains(&allow), "nothing is erased");
    assert_eq!(browser.submit(&allow, &[]).await.status, 404);
    assert_eq!(world.admin("POST", "/records/contact/u-1/allow", None).await.0, 404);

    world.accept(&event("2", "user.erased", "u-1", &at(11), json!({}))).await;
    let seen = browser.submit(&allow, &[]).await;
    assert!(seen.status == 409 && seen.words().contains("has not ended"), "{}", seen.text);
    let (status, answer) = world.admin("POST", "/records/contact/u-1/allow", None).await;
    assert_eq!((status, &answer["code"]), (409, &json!("erasure_open")));
    world.drain().await;
    assert!(browser.get(path).await.ok().text.contains(&allow), "it can be lifted");
    let seen = browser.submit(&allow, &[]).await;
    assert_eq!((seen.status, seen.header("location")), (303, &*format!("{path}?done=allowed")));
    let words = browser.get(seen.header("location")).await.ok().words();
    assert!(words.contains("Events of this subject are accepted again"), "{words}");
    assert_eq!(world.get("/audit").await["items"][0]["action"], "allow");
    // HubSpot does not take an erased address again.
    let data = json!({ "email": "b@example.com", "first_name": "Ada" });
    world.accept(&user("3", "u-1", &at(12), data)).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["firstname"], "Ada");
}

#[tokio::test]
async fn a_key_expires_within_ten_years() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let now = world.queue.now().await.unwrap();
    for (days, is_allowed) in [(3_649, true), (3_651, false)] {
        let body = json!({ "name": "a", "role": "viewer", "expires_in_days": days });
        let wanted = if is_allowed { 201 } else { 400 };
        assert_eq!(world.admin("POST", "/keys", Some(body)).await.0, wanted, "{days}");
        let at = (now + TimeDelta::days(days)).to_rfc3339();
        let fields = [("name", "b"), ("role", "viewer"), ("expires_at", &*at)];
        let page = browser.submit("/admin/keys", &fields).await;
        assert_eq!(page.status, if is_allowed { 201 } else { 422 }, "{days}: {}", page.text);
        assert_eq!(page.words().contains("within 3650 days"), !is_allowed);
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_is_no_bug() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    for (api, page) in [
        ("/queue?external_id=%00", "/admin/queue?external_id=%00"),
        ("/records?sync_type=%00", "/admin/records?sync_type=%00"),
        ("/records/contact/%00", "/admin/records/contact/%00"),
        ("/logs?kind=odd", "/admin/logs?kind=odd"),
        ("/logs?cursor=x", "/admin/logs?cursor=x"),
    ] {
        let (status, _) = world.admin("GET", api, None).await;
        let page = browser.get(page).await;
        assert_eq!((status, page.status), (400, 400), "{api}: {}", page.text);
    }
}

#[tokio::test]
async fn a_setting_that_another_process_has_stored_is_shown_at_once() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    assert!(!browser.get("/admin/settings").await.ok().words().contains("stored here"));
    let statement = "INSERT INTO setting (portal, key, value, changed_at, changed_by)
        VALUES ('default', 'retry.max_retries', '7', now(), 'another')";
    sqlx::query(statement).execute(world.queue.pool()).await.unwrap();
    assert!(browser.get("/admin/settings").await.ok().words().contains("by another"));
    let settings = world.get("/settings").await;
    let stored = settings["settings"].as_array().unwrap().iter().find(|s| s["source"] == "stored");
    assert_eq!(stored.unwrap()["value"], 7);
}
