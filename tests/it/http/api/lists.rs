//! Pages both ways, filters, search, error groups, bulk verbs, totals.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::bad_deal;
use crate::support::{World, row_id, user};

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_lead_both_ways_and_new_rows_shift_nothing() {
    let world = World::new().await;
    let users = |from: usize, to: usize| -> Value {
        (from..to)
            .map(|n| user(&format!("{n}"), &format!("u-{n}"), "2026-01-01T10:00:00Z", json!({})))
            .collect()
    };
    world.accept(&users(1, 8)).await;
    let first = world.get("/queue?limit=3").await;
    assert_eq!((ids(&first), &first["prev_cursor"]), (vec!["7", "6", "5"], &Value::Null));
    world.accept(&users(8, 10)).await;
    let to = |cursor: &Value| format!("/queue?limit=3&cursor={}", cursor.as_str().unwrap());
    let second = world.get(&to(&first["next_cursor"])).await;
    assert_eq!(ids(&second), ["4", "3", "2"]);
    let last = world.get(&to(&second["next_cursor"])).await;
    assert_eq!((ids(&last), &last["next_cursor"]), (vec!["1"], &Value::Null));
    let back = world.get(&to(&last["prev_cursor"])).await;
    assert_eq!(ids(&back), ["4", "3", "2"]);
    let back = world.get(&to(&back["prev_cursor"])).await;
    assert_eq!(ids(&back), ["7", "6", "5"]);
    let newest = world.get(&to(&back["prev_cursor"])).await;
    assert_eq!((ids(&newest), &newest["prev_cursor"]), (vec!["9", "8"], &Value::Null));

    let (status, answer) = world.admin("GET", "/queue?cursor=41", None).await;
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_query")));
}

#[tokio::test]
async fn a_time_finds_its_rows() {
    let world = World::new().await;
    let mut times = Vec::new();
    for n in 0..6 {
        let answer =
            world.accept(&user(&format!("{n}"), "u-1", "2026-01-01T10:00:00Z", json!({}))).await;
        let row = world.row(&row_id(&answer, 0)).await;
        times.push(row["created_at"].as_str().unwrap().to_owned());
        // Further apart than requests can overlap.
        world.advance(TimeDelta::hours(1));
    }
    let between = |since: &str, until: &str| format!("/queue?since={since}&until={until}");
    assert_eq!(ids(&world.get(&between(&times[1], &times[4])).await), ["4", "3", "2"]);
    assert_eq!(ids(&world.get(&format!("/queue?since={}", times[5])).await), ["6"]);
    assert_eq!(ids(&world.get(&format!("/queue?until={}", times[0])).await), Vec::<&str>::new());
    assert_eq!(ids(&world.get("/queue?until=2100-01-01T00:00:00Z").await).len(), 6);
    let empty = World::new().await;
    assert_eq!(ids(&empty.get("/queue?since=2020-01-01T00:00:00Z").await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_search_finds_rows_by_id_event_address_hash_code_and_words() {
    let world = World::new().await;
    let marie =
        user("evt-1", "u-1001", "2026-01-01T10:00:00Z", json!({ "email": "Marie@Company.fr" }));
    let other = user("evt-2", "u-2", "2026-01-01T10:00:00Z", json!({ "email": "b@example.com" }));
    let answer = world.accept(&json!([marie, other, bad_deal("evt-3", "m-1")])).await;
    let (user_row, deal_row) = (row_id(&answer, 0), row_id(&answer, 2));
    world.drain().await;
    let error = &world.row(&deal_row).await["error"];
    let message = error["message"].as_str().unwrap();
    let word =
        message.split(' ').find(|w| w.len() > 5 && w.chars().all(char::is_alphabetic)).unwrap();
    let hash: String =
        Sha256::digest(b"marie@company.fr").iter().map(|byte| format!("{byte:02x}")).collect();
    for (q, wanted) in [
        ("u-1001", &user_row),
        ("evt-1", &user_row),
        ("marie@company.FR", &user_row),
        (&hash, &user_row),
        ("m-1", &deal_row),
        (&error["code"].as_str().unwrap().to_lowercase(), &deal_row),
        (word, &deal_row),
        (&word[..5], &deal_row),
    ] {
        let url = format!("/queue?q={}", q.replace('@', "%40"));
        assert_eq!(ids(&world.get(&url).await), [wanted.as_str()], "{q}");
    }
    for q in ["nobody", "c%40example.com", "%27%20OR%201%3D1--", "%25", "%3A*"] {
        assert_eq!(ids(&world.get(&format!("/queue?q={q}")).await), Vec::<&str>::new(), "{q}");
    }
    // An erasure takes the address out of the search, too.
    world
        .accept(&crate::support::event(
            "evt-9",
            "user.erased",
            "u-1001",
            "2026-01-02T10:00:00Z",
            json!({}),
        ))
        .await;
    world.drain().await;
    assert_eq!(ids(&world.get("/queue?q=marie%40company.fr").await), Vec::<&str>::new());
}

#[tokio::test]
async fn failures_come_in_groups_that_can_be_retried_and_discarded_after_a_look() {
    let world = World::new().await;
    let deals: Value = (1..=12).map(|n| bad_deal(&format!("{n}"), &format!("m-{n}"))).collect();
    world.accept(&deals).await;
    world.accept(&bad_deal("again", "m-1")).await;
    world.drain().await;
    let groups = world.get("/errors").await;
    let group = &groups["items"][0];
    assert_eq!(groups["items"].as_array().unwrap().len(), 1, "{groups}");
    assert_eq!((&group["rows"], &group["records"]), (&json!(13), &json!(12)));
    assert!(group["hint"].is_string() && group["first_at"].as_str() <= group["last_at"].as_str());
    assert_eq!(world.get("/errors?sync_type=contact").await["items"], json!([]));

    let mut which = json!({ "sync_type": "deal", "error_code": group["code"], "dry_run": true });
    let (_, look) = world.admin("POST", "/retry", Some(which.clone())).await;
    assert_eq!((&look["retried"], &look["matching"]), (&json!(0), &json!(13)));
    assert_eq!(look["sample"].as_array().unwrap().len(), 10);
    let planned = &look["plan"][0];
    let amount = planned["properties"].as_array().unwrap().iter().find(|p| p["name"] == "amount");
    assert_eq!(amount.unwrap()["verdict"], "send", "{planned}");
    assert_eq!(world.get("/status").await["counts"]["failed"], 13, "a look changes nothing");

    let one = group["newest_id"].as_str().unwrap();
    let (_, gone) = world.admin("POST", "/discard", Some(json!({ "ids": [one] }))).await;
    assert_eq!(gone["discarded"], 1);
    assert_eq!(world.admin("POST", "/discard", Some(json!({}))).await.0, 400, "not everything");
    which["dry_run"] = json!(false);
    let (_, done) = world.admin("POST", "/retry", Some(which)).await;
    assert_eq!(done["retried"], 12);
    assert_eq!(world.get("/errors").await["items"], json!([]));
    let audit = world.get("/audit?action=retry").await;
    assert_eq!(audit["items"][0]["details"]["rows"], 12, "{audit}");
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_row_of_an_erased_subject_can_be_discarded_and_not_retried() {
    let world = World::new().await;
    let id = row_id(&world.accept(&bad_deal("1", "m-1")).await, 0);
    world.drain().await;
    sqlx::query("UPDATE crm_record SET erased_at = now()")
        .execute(world.queue.pool())
        .await
        .unwrap();
    let (_, look) =
        world.admin("POST", "/retry", Some(json!({ "ids": [id], "dry_run": true }))).await;
    assert_eq!(look["matching"], 0, "what a retry cannot touch does not match");
    let (status, answer) = world.admin("POST", &format!("/queue/{id}/retry"), None).await;
    assert_eq!((status, &answer["code"]), (409, &json!("subject_erased")));
    assert_eq!(world.admin("POST", &format!("/queue/{id}/discard"), None).await.0, 200);
    assert_eq!(world.get("/status").await["counts"]["failed"], 0);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_not_an_error_of_ours() {
    let world = World::new().await;
    for path in [
        "/queue?q=%00",
        "/records/contact/%00",
        "/queue?external_id=%00",
        "/queue?since=-262143-01-01T00:00:00Z",
        "/queue?until=%2B262142-12-31T23:59:59Z",
    ] {
        let (status, answer) = world.admin("GET", path, None).await;
        assert!(status == 400 || status == 200, "{path}: {status} {answer}");
    }
    let long = "x".repeat(601);
    assert_eq!(world.admin("GET", &format!("/queue?q={long}"), None).await.0, 400);
    let body = json!({ "reason": long });
    assert_eq!(world.admin("POST", "/pause", Some(body)).await.0, 400);
    let body = json!({ "ids": vec![1; 10_001] });
    assert_eq!(world.admin("POST", "/retry", Some(body)).await.0, 400);
    assert_eq!(world.get("/status").await["gate"]["state"], "open");
}

#[tokio::test]
async fn metrics_tell_of_what_is_gone() {
    let world = World::new().await;
    let id = row_id(&world.accept(&bad_deal("1", "m-1")).await, 0);
    world.drain().await;
    let failed = async || {
        let reply = world.http.get(format!("{}/metrics", world.url)).send().await.unwrap();
        let text = reply.text().await.unwrap();
        let line = text.lines().find(|line| {
            line.starts_with("hubferry_rows") && line.contains("deal") && line.contains("failed")
        });
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    // Metrics are the process', and other tests may set theirs between our asking and its answer.
    let told = async |wanted: &str| {
        for _ in 0..20 {
            if failed().await == wanted {
                return true;
            }
        }
        false
    };
    assert!(told("1").await);
    world.admin("POST", &format!("/queue/{id}/discard"), None).await;
    assert!(told("0").await);
}

#[tokio::test]
async fn records_show_their_link_values_and_history_and_go_again_whole() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "business_id": "b-1" });
    world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    assert_eq!(
        world.admin("POST", "/records/contact/u-1/resync", None).await.0,
        409,
        "never written"
    );
    world.drain().await;
    let record = world.get("/records/contact/u-1").await;
    assert_eq!(record["hubspot_id"], json!(world.sandbox.objects("contacts")[0].id));
    assert_eq!(record["accepted"]["firstname"]["value"], "Ada");
    assert_eq!(record["accepted"]["firstname"]["row_id"], record["rows"][0]["id"]);
    assert_eq!(record["associations"][0]["state"], "parked");
    for (state, wanted) in [("linked", 1), ("waiting", 0), ("deleted", 0), ("uncertain", 0)] {
        let listed = world.get(&format!("/records?state={state}&sync_type=contact")).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), wanted, "{state}");
    }
    assert_eq!(world.get("/records?q=u-1").await["items"][0]["external_id"], "u-1");
    assert_eq!(world.admin("GET", "/records/contact/nobody", None).await.0, 404);
    assert_eq!(world.admin("GET", "/records?state=odd", None).await.0, 400);

    // Somebody has changed it in HubSpot, and an admin wants ours back.
    let id = record["hubspot_id"].as_str().unwrap();
    assert!(world.sandbox.edit("contacts", id, &[("firstname", "Somebody")]));
    assert_eq!(world.drain().await, 0);
    assert_eq!(world.admin("POST", "/records/contact/u-1/resync", None).await.0, 200);
    world.drain().await;
    assert_eq!(world.only("contacts")["firstname"], "Ada");
    let record = world.get("/records/contact/u-1").await;
    assert_eq!(record["uncertain"], false);
    assert_eq!(world.admin("POST", "/records/contact/nobody/resync", None).await.0, 404);
}

#[tokio::test]
async fn totals_are_what_counting_says_at_every_turn() {
    let world = World::new().await;
    let counted = async || -> Vec<(String, i64)> {
        sqlx::query_as(
            "SELECT status, count(*) FROM sync_queue_view WHERE discarded_at IS NULL GROUP BY 1 ORDER BY 1",
        )
        .fetch_all(world.queue.pool())
        .await
        .unwrap()
    };
    let check = async |when: &str| {
        let status = world.get("/status").await;
        let told: Vec<(String, i64)> = status["counts"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(status, rows)| (status.clone(), rows.as_i64().unwrap()))
            .filter(|(_, rows)| *rows > 0)
            .collect();
        assert_eq!(told, counted().await, "{when}");
    };
    check("empty").await;
    let users: Value = (0..250)
        .map(|n| {
            user(
                &format!("{n}"),
                &format!("u-{n}"),
                "2026-01-01T10:00:00Z",
                json!({ "first_name": "A" }),
            )
        })
        .collect();
    world.accept(&users).await;
    world.accept(&bad_deal("d", "m-1")).await;
    check("accepted").await;
    world.step().await;
    check("one step").await;
    world.drain().await;
    check("drained").await;
    world.admin("POST", "/retry", Some(json!({}))).await;
    check("retried").await;
    world.drain().await;
    let failed = world.get("/queue?status=failed").await;
    let id = failed["items"][0]["id"].as_str().unwrap();
    world.admin("POST", &format!("/queue/{id}/discard"), None).await;
    check("discarded").await;

    // Hours later everything has been folded, and says the same.
    let status = world.get("/status").await;
    assert_eq!(status["throughput"]["synced_last_minute"], 250);
    world.advance(TimeDelta::hours(4));
    world.drain().await;
    check("folded").await;
    let now = world.queue.now().await.unwrap();
    let pulse = world.queue.pulse(now - TimeDelta::hours(6), TimeDelta::hours(6)).await.unwrap();
    let synced: i64 = pulse.iter().map(|point| point.synced).sum();
    let failed: i64 = pulse.iter().map(|point| point.failed).sum();
    assert_eq!((synced, failed), (250, 2), "a row that failed twice counts twice: {pulse:?}");
    assert!(
        pulse.iter().filter(|p| p.synced > 0).all(|p| p.p95_ms >= p.p50_ms && p.p50_ms.is_some())
    );
    assert_eq!(world.get("/status").await["throughput"]["synced_last_minute"], 0);
}
