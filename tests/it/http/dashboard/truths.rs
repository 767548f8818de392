//! What pages say is so: no sentence that the state of things belies.

use chrono::TimeDelta;
use hubferry::queue::gates::gate::Closure;
use hubferry::queue::gates::kind::GateKind;
use hubferry::queue::upkeep::tasks::{TaskInfo, TaskRun};
use serde_json::{Value, json};

use super::{Browser, filled};
use crate::support::{World, event, row_id};

/// A deal in a currency that the account does not have: it fails before any call.
fn bad_deal(id: &str) -> Value {
    let data = json!({ "name": format!("Deal {id}"), "status": "paid",
                       "amount": { "value": "1", "currency": "GBP" } });
    event(id, "milestone.created", &format!("m-{id}"), "2026-01-01T10:00:00Z", data)
}

/// The row of a deal that failed.
async fn failed_deal(world: &World, id: &str) -> String {
    let row = row_id(&world.accept(&bad_deal(id)).await, 0);
    world.drain().await;
    assert_eq!(world.row(&row).await["status"], "failed");
    row
}

async fn again(world: &World, row: &str) {
    world.admin("POST", &format!("/queue/{row}/retry"), None).await;
    world.drain().await;
}

#[tokio::test]
async fn the_preview_of_what_was_never_created_does_not_say_that_hubspot_holds_it() {
    let world = World::new().await;
    let row = failed_deal(&world, "1").await;
    // What the mapping or the account refuses before any call leaves nothing to send.
    sqlx::query("UPDATE event SET type = 'milestone.moved'")
        .execute(world.queue.pool())
        .await
        .unwrap();
    let browser = Browser::admin(&world).await;
    let words = browser.get(&format!("/admin/queue/{row}")).await.ok().words();
    assert!(words.contains("What a retry would send"), "{words}");
    assert!(!words.contains("HubSpot holds all of it"), "{words}");
    assert!(words.contains("The record sends nothing: every row is refused."), "{words}");
    let plan =
        world.admin("POST", "/retry", Some(json!({ "ids": [row], "dry_run": true }))).await.1;
    let note = plan["plan"][0]["note"].as_str().unwrap();
    assert_eq!(note, "sends nothing: every row is refused");
}

#[tokio::test]
async fn attempts_and_retries_are_counted_apart() {
    let world = World::new().await;
    let row = failed_deal(&world, "1").await;
    again(&world, &row).await;
    let browser = Browser::admin(&world).await;
    let words = browser.get(&format!("/admin/queue/{row}")).await.ok().words();
    assert!(words.contains("Attempt 2") && !words.contains("Attempt 3"), "{words}");
    assert!(words.contains("Failed attempts 2 Retries used 0 of 3"), "{words}");
    let list = browser.get("/admin/queue").await.ok().words();
    assert!(list.contains("Retries") && list.contains("0 of 3"), "{list}");
}

#[tokio::test]
async fn failures_over_time_and_rows_that_are_failed_now_have_names_of_their_own() {
    let world = World::new().await;
    let row = failed_deal(&world, "1").await;
    again(&world, &row).await;
    let browser = Browser::admin(&world).await;
    let words = browser.get("/admin").await.ok().words();
    assert!(words.contains("0 synced, 2 failures in the last hour."), "{words}");
    assert!(words.contains("failed now 1"), "{words}");
}

#[tokio::test]
async fn a_gate_that_is_probed_does_not_say_that_it_opens() {
    let world = World::new().await;
    let now = world.queue.now().await.unwrap();
    let closure = Closure { reason: "the token is refused".into(), ..Closure::default() };
    let (close, in_54_s) = (GateKind::Credentials, now + TimeDelta::seconds(54));
    world.queue.close_gate(close, &closure, Some(in_54_s), now).await.unwrap();
    let row = row_id(&world.accept(&bad_deal("1")).await, 0);
    let browser = Browser::admin(&world).await;
    let words = browser.get("/admin").await.ok().words();
    assert!(!words.contains("; opens"), "{words}");
    assert!(words.contains("; one record is tried at 2"), "{words}");
    assert!(words.contains("; the gate opens if HubSpot accepts it."), "{words}");
    let why = world.row(&row).await["why"][0].clone();
    assert_eq!((&why["code"], &why["until"]), (&json!("gate"), &Value::Null), "{why}");
    let reason = world.get("/status").await["gate"]["reasons"][0].clone();
    assert_eq!(reason["probed"], true, "{reason}");
    // One of the clock still opens by it.
    let world = World::new().await;
    let now = world.queue.now().await.unwrap();
    let until = Some(now + TimeDelta::seconds(54));
    world.queue.close_gate(GateKind::Window, &closure, until, now).await.unwrap();
    let words = Browser::admin(&world).await.get("/admin").await.ok().words();
    assert!(words.contains("; opens 2"), "{words}");
    assert_eq!(world.get("/status").await["gate"]["reasons"][0]["probed"], false);
}

#[tokio::test]
async fn a_resync_makes_no_healthy_record_uncertain() {
    let world = World::new().await;
    filled(&world, "u-1", "u-2").await;
    let browser = Browser::admin(&world).await;
    let page = "/admin/records/contact/u-1";
    assert_eq!(browser.submit(&format!("{page}/resync"), &[]).await.status, 303);
    let record = async || world.get("/records/contact/u-1").await;
    let shown = record().await;
    assert_eq!((&shown["uncertain"], &shown["resyncing"]), (&json!(false), &json!(true)));
    let words = browser.get(page).await.ok().words();
    assert!(words.contains("resync under way") && !words.contains("uncertain"), "{words}");
    assert!(!words.contains("In doubt"), "{words}");
    let listed = world.get("/records?state=uncertain").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 0);
    // Asked for twice it is the same.
    world.admin("POST", "/records/contact/u-1/resync", None).await;
    assert_eq!(record().await["uncertain"], false);
    world.drain().await;
    let shown = record().await;
    assert_eq!((&shown["uncertain"], &shown["resyncing"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn what_was_never_created_is_offered_no_resync() {
    let world = World::new().await;
    let row = failed_deal(&world, "1").await;
    let browser = Browser::admin(&world).await;
    for page in [format!("/admin/queue/{row}"), "/admin/records/deal/m-1".to_owned()] {
        let words = browser.get(&page).await.ok().words();
        assert!(!words.contains("Resync"), "{page}: {words}");
    }
    // Who has an old page open is led back and told.
    let seen = browser.submit("/admin/records/deal/m-1/resync", &[]).await;
    assert_eq!(
        (seen.status, seen.header("location")),
        (303, "/admin/records/deal/m-1?done=nothing")
    );
    let words = browser.get(seen.header("location")).await.ok().words();
    assert!(words.contains("There is nothing to send again"), "{words}");
}

#[tokio::test]
async fn after_a_retry_of_many_just_these_are_shown() {
    let world = World::new().await;
    let [_, conflict, _] = filled(&world, "u-1", "u-2").await;
    let deals = [failed_deal(&world, "1").await, failed_deal(&world, "2").await];
    let browser = Browser::admin(&world).await;
    let all = [("all", "yes"), ("error_code", "INVALID_OPTION"), ("confirm", "yes")];
    let seen = browser.submit("/admin/queue/retry", &all).await;
    assert_eq!(seen.status, 303);
    let way = seen.header("location").to_owned();
    for _ in 0..2 {
        let page = browser.get(&way).await.ok();
        assert!(page.words().contains("2 rows match"), "{}", page.words());
        for row in &deals {
            assert!(page.text.contains(&format!("/admin/queue/{row}\"")), "{}", page.text);
        }
        assert!(!page.text.contains(&format!("/admin/queue/{conflict}\"")));
        // Whatever becomes of them.
        world.drain().await;
    }
}

#[tokio::test]
async fn the_banner_of_a_failed_row_names_the_property_and_what_is_wrong() {
    let world = World::new().await;
    let row = failed_deal(&world, "1").await;
    let error = world.row(&row).await["error"].clone();
    let property = error["property"].as_str().expect("the property");
    let browser = Browser::admin(&world).await;
    let page = browser.get(&format!("/admin/queue/{row}")).await.ok();
    let banner = super::between(&page.text, "id=\"why\"", "</section>").unwrap();
    assert!(banner.contains(&format!("<code>{property}</code>")), "{banner}");
    assert!(banner.contains("INVALID_OPTION"), "{banner}");
    let list = browser.get("/admin/queue?status=failed").await.ok();
    assert!(list.text.contains(&format!("in <code>{property}</code>")), "{}", list.text);
}

#[tokio::test]
async fn a_background_task_that_failed_is_explained_and_one_that_is_late_is_named() {
    let world = World::new().await;
    let task = |name, everywhere| TaskInfo {
        name,
        description: "Deletes old rows",
        impact: "Old rows are kept",
        period: TimeDelta::minutes(10),
        everywhere,
    };
    let now = world.queue.now().await.unwrap();
    let run = |result: Result<&str, &str>| TaskRun {
        at: now,
        took: TimeDelta::milliseconds(1_200),
        result: result.map(str::to_owned).map_err(|error| format!("<b>{error}")),
        next: now + TimeDelta::minutes(1),
    };
    let store = async |task: &TaskInfo, process: &str, run: &TaskRun| {
        world.queue.store_task_run(task, process, run).await.unwrap();
    };
    let each = task("a_test", true);
    store(&each, "one", &run(Ok("deleted 3 rows"))).await;
    store(&each, "two", &run(Err("the disk is full"))).await;
    store(&task("another", false), "one", &run(Ok("nothing to do"))).await;
    let browser = Browser::admin(&world).await;
    let page = browser.get("/admin").await.ok();
    let words = page.words();
    for part in [
        "The background task “a test” failed : &#60;b&#62;the disk is full (1 of 2 processes)",
        "While it fails: Old rows are kept.",
        "2 tasks, 1 failing",
        "every 10 min, in each of 2 processes",
        "every 10 min, in one process at a time",
        "took 1.2 s",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    store(&each, "two", &run(Ok("nothing to do"))).await;
    browser.submit("/admin/resume", &[]).await;
    let words = browser.get("/admin").await.ok().words();
    assert!(words.contains("2 tasks, all of them work") && !words.contains("failed :"), "{words}");
    world.advance(TimeDelta::minutes(5));
    browser.submit("/admin/resume", &[]).await;
    let words = browser.get("/admin").await.ok().words();
    assert!(words.contains("The background task “another” is late"), "{words}");
}
