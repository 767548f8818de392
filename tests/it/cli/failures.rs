//! `send --wait` and a backfill: rows that fail, told by their lines.

use serde_json::{Value, json};

use super::finish;
use super::send::{Place, users};
use crate::support::World;

#[tokio::test]
async fn waiting_for_events_that_fail_ends_with_a_failure() {
    let (world, place) = (World::new().await, Place::new());
    // Another record of the account has this address, and belongs to somebody else.
    let other = [("email", "u0@example.com"), ("hubferry_id", "somebody")];
    world.sandbox.create("contacts", &other);
    let file = place.file("users.ndjson", users(1));
    let ended = tokio::spawn(finish(place.spawn(&world.url, &[&file, "--wait"])));
    while !ended.is_finished() {
        world.drain().await;
    }
    let said = ended.await.unwrap();
    assert!(said.code == 1 && said.out.contains("1 failed"), "{said:?}");
}

#[tokio::test]
async fn each_failed_event_is_named_with_its_line_and_the_reason() {
    // Contacts of other people have these addresses: not the last ones of the file.
    for flag in ["--wait", "--backfill"] {
        let (world, place) = (World::new().await, Place::new());
        for n in [2, 5] {
            let (email, key) = (format!("u{n}@example.com"), format!("somebody-{n}"));
            world.sandbox.create("contacts", &[("email", &*email), ("hubferry_id", &*key)]);
        }
        let file = place.file("users.ndjson", users(60));
        let args = [&*file, flag, "--json", "--batch", "25"];
        let ended = tokio::spawn(finish(place.spawn(&world.url, &args)));
        while !ended.is_finished() {
            world.drain().await;
        }
        let said = ended.await.unwrap();
        assert_eq!(said.code, 1, "{flag}: {said:?}");
        for line in ["line 3: contact u-2 failed: ", "line 6: contact u-5 failed: ", "(CONFLICT)"] {
            assert!(said.err.contains(line), "{flag}, {line}: {said:?}");
        }
        let body: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((&body["failed"], &body["waiting"]), (&json!(2), &json!(0)), "{body}");
        let lines: Vec<&Value> =
            body["failures"].as_array().unwrap().iter().map(|f| &f["line"]).collect();
        assert!(lines == [3, 6] || lines == [6, 3], "{body}");
    }
}
