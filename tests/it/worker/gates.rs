//! The gate: why nothing is sent, until when, and that waiting costs no attempt.

use chrono::{NaiveTime, TimeDelta};
use hubferry::portals::Limits;
use hubferry::worker::Step;
use hubspot_sandbox::{Faults, Locked, Settings};
use serde_json::{Value, json};

use crate::support::{Setup, World, event, row_id, user};

async fn one_user(world: &World, n: u32) -> String {
    let data = json!({ "email": format!("u{n}@example.com") });
    let event = user(&n.to_string(), &format!("u-{n}"), "2026-01-01T10:00:00Z", data);
    row_id(&world.accept(&event).await, 0)
}

fn reasons(status: &Value) -> Vec<&str> {
    status["gate"]["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_pause_holds_everything_until_somebody_resumes() {
    let world = World::new().await;
    let (status, _) =
        world.admin("POST", "/pause", Some(json!({ "reason": "spring cleaning" }))).await;
    assert_eq!(status, 200);
    let id = one_user(&world, 1).await;
    assert_eq!(world.drain().await, 0);
    let status = world.get("/status").await;
    assert_eq!(status["gate"]["state"], "paused");
    assert_eq!(status["gate"]["reasons"][0]["reason"], "spring cleaning");
    world.advance(TimeDelta::days(1));
    assert_eq!(world.drain().await, 0);
    world.admin("POST", "/resume", None).await;
    assert_eq!(world.get("/status").await["gate"]["state"], "open");
    world.drain().await;
    assert_eq!(world.row(&id).await["status"], "synced");
}

#[tokio::test]
async fn a_refused_token_closes_the_gate_is_probed_every_minute_and_costs_no_attempt() {
    let world = World::new().await;
    world.sandbox.set_faults(Faults { revoke_token: true, ..Faults::default() });
    let ids = [one_user(&world, 1).await, one_user(&world, 2).await];
    assert_eq!(world.drain().await, 1);
    let status = world.get("/status").await;
    assert_eq!(reasons(&status), ["credentials"]);
    assert!(status["gate"]["reasons"][0]["hint"].as_str().unwrap().contains("HUBSPOT_API_KEY"));
    // Behind the gate nothing is sent; a minute later one record goes to see.
    assert_eq!(world.drain().await, 0);
    world.sandbox.clear_calls();
    world.advance(TimeDelta::seconds(61));
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.sandbox.calls()[0].inputs, 1);
    world.sandbox.set_faults(Faults::default());
    world.advance(TimeDelta::seconds(61));
    world.drain().await;
    for id in ids {
        let row = world.row(&id).await;
        assert_eq!((&row["status"], &row["retry_count"]), (&json!("synced"), &json!(0)), "{row}");
    }
    assert_eq!(world.get("/status").await["gate"]["state"], "open");
}

#[tokio::test]
async fn a_missing_scope_or_property_closes_the_gate_of_its_object_kind_only() {
    let scope =
        Faults { deny_scopes: vec!["crm.objects.contacts.write".into()], ..Faults::default() };
    for (prepared, faults, kind) in [(true, scope, "scope"), (false, Faults::default(), "schema")] {
        let world = World::with(Setup { prepared, ..Setup::default() }).await;
        world.sandbox.set_faults(faults);
        if !prepared {
            // The key is there, a property of the mapping is not.
            for (object, group) in
                [("contacts", "contactinformation"), ("companies", "companyinformation")]
            {
                world.sandbox.define_property(
                    object,
                    &json!({ "name": "hubferry_id", "label": "id",
                    "type": "string", "fieldType": "text", "groupName": group,
                    "hasUniqueValue": true }),
                );
            }
        }
        let data = json!({ "email": "a@example.com", "role": "professional" });
        let contact =
            row_id(&world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await, 0);
        let data = json!({ "name": "Business" });
        let company = event("2", "business.created", "b-1", "2026-01-01T10:00:00Z", data);
        let company = row_id(&world.accept(&company).await, 0);
        world.drain().await;
        assert_eq!(world.row(&company).await["status"], "synced");
        let row = world.row(&contact).await;
        assert_eq!((&row["status"], &row["retry_count"]), (&json!("pending"), &json!(0)), "{row}");
        let status = world.get("/status").await;
        assert_eq!(reasons(&status), [kind], "{status}");
        assert_eq!(status["gate"]["reasons"][0]["sync_type"], "contact");
    }
}

#[tokio::test]
async fn throttling_costs_no_attempt_and_waits_as_told() {
    let world = World::with(Setup {
        sandbox: Settings { limit_per_10s: 1, ..Settings::default() },
        prepared: false,
        ..Setup::default()
    })
    .await;
    world.sandbox.define_property("contacts", &json!({ "name": "hubferry_id", "label": "id",
        "type": "string", "fieldType": "text", "groupName": "contactinformation", "hasUniqueValue": true }));
    world.sandbox.set_faults(Faults { missing_rate_headers: true, ..Faults::default() });
    let first = one_user(&world, 1).await;
    world.drain().await;
    assert_eq!(world.row(&first).await["status"], "synced");
    // The account's limit is one call, which is spent and which no header told: HubSpot answers 429.
    let second = one_user(&world, 2).await;
    assert_eq!(world.drain().await, 1);
    let row = world.row(&second).await;
    assert_eq!((&row["status"], &row["retry_count"]), (&json!("pending"), &json!(0)), "{row}");
    assert_eq!(reasons(&world.get("/status").await), ["window"]);
    assert_eq!(world.drain().await, 0);

    let locked = World::new().await;
    locked
        .sandbox
        .set_faults(Faults { lock_423: Some(Locked { remaining: Some(1) }), ..Faults::default() });
    let id = one_user(&locked, 1).await;
    locked.drain().await;
    assert_eq!(locked.row(&id).await["retry_count"], 0);
    locked.advance(TimeDelta::seconds(2));
    locked.drain().await;
    assert_eq!(locked.row(&id).await["status"], "synced");
}

#[tokio::test]
async fn the_daily_quota_keeps_its_last_calls_for_high_priority_and_ends_at_midnight_of_the_account()
 {
    // At noon, and when the account's next day has begun and that of UTC has not: the first call
    // is made before its time zone is known.
    for minutes in [12 * 60, 23 * 60 + 30] {
        a_day_of_twenty_calls(minutes).await;
    }
}

async fn a_day_of_twenty_calls(minutes_past_midnight: i64) {
    let limits = Limits { per_day: 20, ..Setup::default().limits };
    let world = World::with(Setup { limits, ..Setup::default() }).await;
    let now = world.queue.now().await.unwrap();
    let tomorrow = now.date_naive().and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1);
    world.advance(tomorrow + TimeDelta::minutes(minutes_past_midnight) - now);
    // HubSpot's own count of the day has the account's set-up in it.
    world.sandbox.set_faults(Faults { missing_rate_headers: true, ..Faults::default() });
    world.worker.check_account().await.expect("the account");
    for n in 1..=20 {
        one_user(&world, n).await;
        world.drain().await;
    }
    let status = world.get("/status").await;
    assert_eq!(status["counts"]["synced"], 18, "the account check was a call too");
    assert_eq!(reasons(&status), ["reserve"], "{status}");
    assert_eq!(status["daily"]["time_zone"], "Europe/Paris");
    let mut urgent =
        user("99", "u-99", "2026-01-01T10:00:00Z", json!({ "email": "u99@example.com" }));
    urgent["priority"] = json!("high");
    let urgent = row_id(&world.accept(&urgent).await, 0);
    world.drain().await;
    assert_eq!(world.row(&urgent).await["status"], "synced");
    let another = user("98", "u-98", "2026-01-01T10:00:00Z", json!({ "email": "u98@example.com" }));
    let mut another = another;
    another["priority"] = json!("high");
    world.accept(&another).await;
    world.drain().await;
    assert!(reasons(&world.get("/status").await).contains(&"daily"));
    world.advance(TimeDelta::hours(25));
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["synced"], 22);
}

#[tokio::test]
async fn nothing_is_sent_into_another_account() {
    let world = World::new().await;
    assert!(world.worker.check_account().await.expect("a check"));
    world.queue.remember_account(1_234_567, "UTC").await.expect("remembered");
    sqlx::query("UPDATE crm_portal SET hubspot_portal_id = 99")
        .execute(world.queue.pool())
        .await
        .unwrap();
    world.worker.check_account().await.expect("a check");
    one_user(&world, 1).await;
    assert_eq!(world.step().await, Step::Idle);
    let status = world.get("/status").await;
    assert_eq!(reasons(&status), ["account"]);
    assert!(status["gate"]["reasons"][0]["reason"].as_str().unwrap().contains("99"));
    sqlx::query("UPDATE crm_portal SET hubspot_portal_id = 1234567")
        .execute(world.queue.pool())
        .await
        .unwrap();
    world.worker.check_account().await.expect("a check");
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["synced"], 1);
}

#[tokio::test]
async fn high_goes_first_and_waiting_ages_a_row() {
    let world = World::new().await;
    let with = |id: &str, subject: &str, priority: &str| {
        let mut event = event(
            id,
            "business.created",
            subject,
            "2026-01-01T10:00:00Z",
            json!({ "name": subject }),
        );
        event["priority"] = json!(priority);
        event
    };
    world.accept(&with("1", "low-early", "low")).await;
    world.advance(TimeDelta::minutes(10) + TimeDelta::seconds(1));
    world.accept(&with("2", "normal", "normal")).await;
    world.accept(&with("3", "high", "high")).await;
    let now = world.queue.now().await.unwrap();
    let due = world.queue.due(&["company"], now).await.unwrap().expect("something due");
    let holder =
        hubferry::queue::delivery::lease::Holder { name: "t".into(), ttl: TimeDelta::seconds(9) };
    let batch = world.queue.lease(&due, 10, &holder, now).await.unwrap().expect("a batch");
    let order: Vec<&str> = batch.records.iter().map(|r| r.external_id.as_str()).collect();
    assert_eq!(order, ["low-early", "high", "normal"]);
}

#[tokio::test]
async fn a_migration_of_the_account_waits_as_long_as_hubspot_says() {
    use hubspot_sandbox::Migrating;
    let world = World::new().await;
    let migrating = Migrating { retry_after_s: 3_600, remaining: Some(1) };
    world.sandbox.set_faults(Faults { migrating_477: Some(migrating), ..Faults::default() });
    let id = one_user(&world, 1).await;
    assert_eq!(world.drain().await, 1);
    assert_eq!(reasons(&world.get("/status").await), ["migrating"]);
    world.advance(TimeDelta::minutes(59));
    assert_eq!(world.drain().await, 0);
    world.advance(TimeDelta::minutes(2));
    assert_eq!(world.drain().await, 1);
    let row = world.row(&id).await;
    assert_eq!((&row["status"], &row["retry_count"]), (&json!("synced"), &json!(0)), "{row}");
}
