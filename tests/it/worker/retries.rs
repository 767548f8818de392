//! Failures: whose fault they are decides what happens, and when.

use chrono::{DateTime, TimeDelta, Utc};
use hubspot_sandbox::{Faults, Outage};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

fn down(status: u16) -> Faults {
    let outage = Outage { status, remaining: None, html: false };
    Faults { outage: Some(outage), ..Faults::default() }
}

async fn one_user(world: &World) -> String {
    let data = json!({ "email": "a@example.com" });
    row_id(&world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await, 0)
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().expect("RFC 3339")
}

#[tokio::test]
async fn a_transient_failure_is_retried_after_exactly_one_two_and_four_minutes_and_then_fails() {
    let world = World::new().await;
    world.sandbox.set_faults(down(500));
    let id = one_user(&world).await;
    for (tries, seconds) in [(1, 60), (2, 120), (3, 240)] {
        world.drain().await;
        let row = world.row(&id).await;
        assert_eq!(
            (&row["status"], &row["retry_count"]),
            (&json!("retry"), &json!(tries)),
            "{row}"
        );
        let attempts = row["attempts"].as_array().unwrap();
        let failed_at = time(&attempts.last().unwrap()["attempted_at"]);
        let wait = time(&row["scheduled_at"]) - failed_at;
        // The wait counts from the verdict, which is noted a moment later.
        assert!((wait - TimeDelta::seconds(seconds)).abs() < TimeDelta::seconds(2), "{wait}");
        // Not earlier.
        world.advance(TimeDelta::seconds(seconds - 20));
        assert_eq!(world.drain().await, 0);
        world.advance(TimeDelta::seconds(20));
    }
    world.drain().await;
    let row = world.row(&id).await;
    assert_eq!((&row["status"], &row["retry_count"]), (&json!("failed"), &json!(3)), "{row}");
    assert_eq!(row["error"]["http_status"], 500);
    assert_eq!(row["attempts"].as_array().unwrap().len(), 4);
    world.advance(TimeDelta::days(2));
    assert_eq!(world.drain().await, 0, "a failed row waits for a person");

    world.sandbox.set_faults(Faults::default());
    let (_, answer) = world.admin("POST", "/retry", Some(json!({ "status": "failed" }))).await;
    assert_eq!(answer["retried"], 1);
    assert_eq!(world.row(&id).await["retry_count"], 0);
    world.drain().await;
    assert_eq!(world.row(&id).await["status"], "synced");
}

#[tokio::test]
async fn rows_that_arrive_while_their_record_waits_go_with_its_retry_and_cost_no_call() {
    let world = World::new().await;
    world.sandbox.set_faults(down(503));
    let first = one_user(&world).await;
    world.drain().await;
    world.sandbox.set_faults(Faults::default());
    let data = json!({ "email": "a@example.com", "job_title": "Owner" });
    let second = row_id(&world.accept(&user("2", "u-1", "2026-01-02T10:00:00Z", data)).await, 0);
    world.sandbox.clear_calls();
    assert_eq!(world.drain().await, 0);
    let row = world.row(&second).await;
    assert_eq!((&row["status"], &row["retry_count"]), (&json!("pending"), &json!(0)));
    world.advance(TimeDelta::seconds(60));
    assert_eq!(world.drain().await, 1);
    for id in [first, second] {
        assert_eq!(world.row(&id).await["status"], "synced");
    }
}

#[tokio::test]
async fn one_bad_record_does_not_hold_up_the_other_ninety_nine() {
    for no_multi_status in [false, true] {
        let world = World::new().await;
        world.sandbox.set_faults(Faults { no_multi_status, ..Faults::default() });
        // Each is valid at the door; HubSpot has no pounds in this account.
        let deal = |n: usize| {
            let currency = if n == 42 { "GBP" } else { "EUR" };
            let data = json!({ "name": format!("Deal {n}"), "status": "paid",
                               "amount": { "value": "1.00", "currency": currency } });
            event(
                &n.to_string(),
                "milestone.created",
                &format!("m-{n}"),
                "2026-01-01T10:00:00Z",
                data,
            )
        };
        let answer = world.accept(&(0..100).map(deal).collect::<Value>()).await;
        let calls = world.drain().await;
        assert_eq!(world.sandbox.objects("deals").len(), 99);
        let row = world.row(&row_id(&answer, 42)).await;
        assert_eq!(row["status"], "failed");
        assert_eq!(row["retry_count"], 0, "asking again would only burn quota");
        assert_eq!(row["error"]["property"], "deal_currency_code");
        assert!(row["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{row}");
        assert!(!row["error"]["message"].as_str().unwrap().contains("GBP"), "values are redacted");
        // Halving a hundred down to one: the whole, and two calls for each of seven halvings.
        let most = if no_multi_status { 15 } else { 1 };
        assert!(calls <= most, "{calls} calls");
        assert_eq!(world.get("/status").await["counts"]["synced"], 99);
    }
}

#[tokio::test]
async fn a_rejection_that_names_a_property_fails_only_the_row_that_supplied_it() {
    let world = World::new().await;
    let deal =
        |id: &str, time: &str, data: Value| event(id, "milestone.updated", "m-1", time, data);
    let good = json!({ "name": "Good", "project": null, "status": "paid",
                       "amount": { "value": "1.00", "currency": "EUR" } });
    let bad = json!({ "amount": { "value": "2.00", "currency": "GBP" } });
    let answer = world
        .accept(&json!([
            deal("1", "2026-01-01T10:00:00Z", good),
            deal("2", "2026-01-02T10:00:00Z", bad)
        ]))
        .await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");
    assert_eq!(world.row(&row_id(&answer, 1)).await["status"], "failed");
    let held = world.only("deals");
    assert_eq!((held["deal_currency_code"].as_str(), held["amount"].as_str()), ("EUR", "1.00"));
}

#[tokio::test]
async fn a_record_that_hubspot_could_not_create_waits_without_an_attempt_and_then_fails() {
    let world = World::new().await;
    let update = |n: u32| {
        let data = json!({ "resolution": "done" });
        event(&n.to_string(), "dispute.updated", &format!("d-{n}"), "2026-01-01T10:00:00Z", data)
    };
    let answer = world.accept(&json!([update(1), update(2)])).await;
    assert_eq!(world.drain().await, 1, "HubSpot is asked whether it has them");
    let waits = world.row(&row_id(&answer, 0)).await;
    assert_eq!((&waits["status"], &waits["retry_count"]), (&json!("pending"), &json!(0)));
    assert!(
        waits["waiting_for"].as_str().is_some_and(|reason| reason.contains("subject")),
        "{waits}"
    );

    // What is missing arrives for the first, never for the second.
    let data = json!({ "title": "Broken", "status": "open", "raised_by_user_id": "u-9" });
    world.accept(&event("3", "dispute.created", "d-1", "2026-01-01T09:00:00Z", data)).await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");
    assert_eq!(world.only("tickets")["hubferry_resolution"], "done");
    world.advance(TimeDelta::hours(24));
    world.drain().await;
    let failed = world.row(&row_id(&answer, 1)).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("MISSING_ON_CREATE"))
    );
}

#[tokio::test]
async fn a_discarded_row_stays_failed_and_out_of_counts_and_retries_until_it_is_put_back() {
    let world = World::new().await;
    let deal =
        json!({ "name": "Deal", "status": "paid", "amount": { "value": "1", "currency": "GBP" } });
    let answer =
        world.accept(&event("1", "milestone.created", "m-1", "2026-01-01T10:00:00Z", deal)).await;
    let id = row_id(&answer, 0);
    assert_eq!(world.admin("POST", &format!("/queue/{id}/discard"), None).await.0, 409);
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["failed"], 1);
    assert_eq!(world.admin("POST", &format!("/queue/{id}/discard"), None).await.0, 200);
    let row = world.row(&id).await;
    assert_eq!(row["status"], "failed");
    assert!(row["discarded_at"].is_string());
    assert_eq!(world.get("/status").await["counts"]["failed"], 0);
    assert_eq!(world.admin("POST", "/retry", Some(json!({}))).await.1["retried"], 0);
    assert_eq!(world.drain().await, 0);
    // Named alone it is put back.
    assert_eq!(world.admin("POST", &format!("/queue/{id}/retry"), None).await.0, 200);
    let row = world.row(&id).await;
    assert_eq!((&row["status"], &row["discarded_at"]), (&json!("pending"), &Value::Null));
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["failed"], 1);
    assert_eq!(world.admin("POST", "/queue/999999/retry", None).await.0, 404);
}

#[tokio::test]
async fn what_vanished_in_hubspot_is_created_again_with_all_that_we_own() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "job_title": "Owner" });
    world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let old = world.sandbox.objects("contacts")[0].id.clone();
    world.sandbox.archive("contacts", &old);
    world
        .accept(&user("2", "u-1", "2026-01-02T10:00:00Z", json!({ "job_title": "Director" })))
        .await;
    world.drain().await;
    let held = world.only("contacts");
    assert_eq!((held["firstname"].as_str(), held["jobtitle"].as_str()), ("Ada", "Director"));
    assert_ne!(world.sandbox.objects("contacts")[0].id, old);
    assert_eq!(world.get("/status").await["counts"]["synced"], 2);
}

#[tokio::test]
async fn with_on_missing_stop_a_record_that_vanished_waits_for_a_person() {
    use crate::support::{Setup, files::files};
    // The first table of the file is the company's.
    let mapping = files(&[("objects.toml", "on_missing = \"recreate\"", "on_missing = \"stop\"")]);
    let world = World::with(Setup { mapping, ..Setup::default() }).await;
    let named = |id: &str, day: u32, name: &str| {
        let time = format!("2026-01-{day:02}T10:00:00Z");
        event(id, "business.updated", "b-1", &time, json!({ "name": name }))
    };
    world.accept(&named("1", 1, "One")).await;
    world.drain().await;
    let company = world.sandbox.objects("companies")[0].id.clone();
    world.sandbox.archive("companies", &company);
    let answer = world.accept(&named("2", 2, "Two")).await;
    world.drain().await;
    let row = world.row(&row_id(&answer, 0)).await;
    assert_eq!(
        (&row["status"], &row["error"]["code"]),
        (&json!("failed"), &json!("OBJECT_NOT_FOUND")),
        "{row}"
    );
    assert!(world.sandbox.objects("companies").is_empty());
}
