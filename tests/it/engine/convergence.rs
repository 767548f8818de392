//! Whatever the order, HubSpot ends with the newest value of everything.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use hubferry::engine::fold::{Folded, MappedRow, fold};
use hubferry::event::EventType;
use hubferry::mapping::{Input, Mapping, Operation, Vars};
use hubferry::queue::model::Stamp;
use hubspot_sandbox::{ApplyThenFail, FailHow, Faults};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, samples, user};

/// What HubSpot must hold of the samples, by kind.
fn assert_samples(world: &World) {
    let holds = |kind: &str, wanted: &[(&str, &str)]| {
        let record = world.only(kind);
        for (name, value) in wanted {
            let held = record.get(*name).map_or("", String::as_str);
            assert_eq!(held, *value, "{kind}.{name} in {record:?}");
        }
    };
    holds(
        "companies",
        &[
            ("hubferry_id", "b-77"),
            ("name", "Dupont Electrical"),
            ("siret", "12345678901234"),
            ("address", "123 Rue de Paris"),
            ("zip", "75001"),
            ("city", "Paris"),
            ("country", "France"),
            ("domain", "dupont-electrical.fr"),
            ("numberofemployees", "12"),
            ("hubferry_trade", "Electrical Services"),
        ],
    );
    holds(
        "contacts",
        &[
            ("hubferry_id", "u-1001"),
            ("email", "marie.dupont@company.fr"),
            ("firstname", "Marie"),
            ("lastname", "Dupont"),
            ("phone", "+33612345678"),
            ("company", "Dupont Electrical"),
            ("jobtitle", ""),
        ],
    );
    holds(
        "deals",
        &[
            ("dealname", "Website Redesign – Design & Mockups"),
            ("amount", "1500.00"),
            ("deal_currency_code", "EUR"),
            ("dealstage", "closedwon"),
            ("hubferry_probability", "0.75"),
            ("hubferry_payment_status", "captured"),
        ],
    );
    holds(
        "tickets",
        &[
            ("subject", "DSP-2024-00001 – Quality Issue"),
            ("content", "The delivered mock-ups miss the mobile layout."),
            ("hs_ticket_priority", "HIGH"),
            ("hs_pipeline_stage", "4"),
            ("hubferry_resolution", "Mobile layout delivered; client accepted."),
        ],
    );
    let pairs = [
        ("contacts", "companies"),
        ("deals", "companies"),
        ("deals", "contacts"),
        ("tickets", "contacts"),
        ("tickets", "companies"),
        ("tickets", "deals"),
    ];
    let made = world.sandbox.associations();
    for (from, to) in pairs {
        assert!(
            made.iter().any(|a| a.from_type == from && a.to_type == to),
            "{from}-{to}: {made:?}"
        );
    }
}

#[tokio::test]
async fn seven_events_become_four_records_and_six_associations() {
    let world = World::new().await;
    world.accept(&json!(samples())).await;
    let calls = world.drain().await;
    assert_samples(&world);
    assert!(calls <= 10, "{calls} calls for four records and six associations");
    assert_eq!(world.get("/status").await["counts"]["synced"], 7);
}

#[tokio::test]
async fn a_sample_of_the_orders_ends_in_the_same_state_through_the_whole_system() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    for round in 0..6 {
        let world = World::new().await;
        let mut events = samples();
        events.shuffle(&mut dice);
        for event in &events {
            world.accept(event).await;
            // Sometimes everything is delivered in between, sometimes it gathers.
            if dice.random_bool(0.5) {
                world.drain().await;
            }
        }
        world.drain().await;
        println!("round {round}");
        assert_samples(&world);
        let counts = &world.get("/status").await["counts"];
        assert_eq!(counts["synced"], 7, "{counts}");
    }
}

#[test]
fn all_5040_orders_of_the_samples_fold_to_the_same_state() {
    let mapping = Mapping::builtin(&Vars::default()).expect("the built-in files");
    // By record: every row, mapped, with the number it would get in this order.
    let events: Vec<(String, MappedRow)> = samples()
        .iter()
        .map(|event| {
            let text = |key: &str| event[key].as_str().expect("text");
            let event_type: EventType = text("type").parse().expect("a type");
            let data = event["data"].as_object().expect("data");
            let input = Input { event_type: &event_type, subject: text("subject"), data };
            let change = mapping.map(&input).expect("a valid sample").remove(0);
            let at = text("time").parse::<DateTime<chrono::Utc>>().expect("a time");
            let row = MappedRow {
                stamp: Stamp { at, row: 0 },
                operation: change.operation,
                properties: change.properties,
                parts: change.parts,
                slots: change.associations,
                warnings: Vec::new(),
            };
            (format!("{}/{}", change.sync_type, change.external_id), row)
        })
        .collect();
    assert!(events.iter().all(|(_, row)| row.operation == Operation::Upsert));
    let state = |order: &[usize]| -> BTreeMap<
        String,
        (BTreeMap<String, String>, BTreeMap<String, Option<String>>),
    > {
        let mut folded: BTreeMap<String, Folded> = BTreeMap::new();
        for (number, &index) in order.iter().enumerate() {
            let (record, mut row) = events[index].clone();
            row.stamp.row = number as i64 + 1;
            // One at a time onto what was accepted before: the hardest way.
            let before = folded.entry(record).or_default();
            let mut slots = std::mem::take(&mut before.slots);
            *before = fold(&before.properties, before.tombstone, &[row]);
            for (slot, register) in std::mem::take(&mut before.slots) {
                let newer = slots.get(&slot).is_none_or(|(_, held)| *held < register.1);
                if newer {
                    slots.insert(slot, register);
                }
            }
            before.slots = slots;
        }
        let values = |f: Folded| {
            (
                f.properties.into_iter().map(|(name, r)| (name, r.value)).collect(),
                f.slots.into_iter().map(|(slot, (target, _))| (slot, target)).collect(),
            )
        };
        folded.into_iter().map(|(record, f)| (record, values(f))).collect()
    };
    let wanted = state(&[0, 1, 2, 3, 4, 5, 6]);
    let mut order: Vec<usize> = (0..7).collect();
    let mut seen = 0;
    permute(&mut order, 0, &mut |order| {
        assert_eq!(state(order), wanted, "{order:?}");
        seen += 1;
    });
    assert_eq!(seen, 5_040);
}

fn permute(order: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        visit(order);
    }
    for place in from..order.len() {
        order.swap(from, place);
        permute(order, from + 1, visit);
        order.swap(from, place);
    }
}

#[tokio::test]
async fn duplicates_change_nothing_and_are_answered_like_the_first_time() {
    let world = World::new().await;
    let events = json!(samples());
    let first = world.accept(&events).await;
    world.drain().await;
    let before = world.sandbox.calls().len();
    let again = world.accept(&events).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(7)));
    for (one, other) in
        first["events"].as_array().unwrap().iter().zip(again["events"].as_array().unwrap())
    {
        assert_eq!(one["rows"][0]["id"], other["rows"][0]["id"]);
        assert_eq!(other["rows"][0]["status"], "synced");
    }
    assert_eq!(world.drain().await, 0);
    assert_eq!(world.sandbox.calls().len(), before);
    assert_samples(&world);
}

#[tokio::test]
async fn an_old_row_that_is_retried_never_overwrites_a_newer_value() {
    let world = World::new().await;
    let deal = |name: &str, currency: &str| json!({ "name": name, "amount": { "value": "10.00", "currency": currency }, "status": "paid" });
    let created =
        |id: &str, time: &str, data: Value| event(id, "milestone.created", "m-1", time, data);
    // The account has no pounds, so HubSpot refuses the first row by its currency.
    let mut old = deal("Old", "GBP");
    old["payment"] = json!({ "method": "card" });
    let answer = world.accept(&created("1", "2026-01-01T10:00:00Z", old)).await;
    let old = row_id(&answer, 0);
    world.drain().await;
    let row = world.row(&old).await;
    assert_eq!(row["status"], "failed", "{row}");
    assert_eq!(row["error"]["property"], "deal_currency_code");

    world.accept(&created("2", "2026-01-02T10:00:00Z", deal("New", "EUR"))).await;
    world.drain().await;
    let (status, body) = world.admin("POST", &format!("/queue/{old}/retry"), None).await;
    assert_eq!(status, 200, "{body}");
    world.drain().await;
    let held = world.only("deals");
    assert_eq!((held["dealname"].as_str(), held["deal_currency_code"].as_str()), ("New", "EUR"));
    assert_eq!(
        held["hubferry_payment_method"], "card",
        "what is still newest of the old row goes out"
    );
    assert_eq!(world.row(&old).await["status"], "synced");
}

#[tokio::test]
async fn a_lost_answer_and_an_event_that_goes_back_to_the_old_value_end_with_the_newer_one() {
    let world = World::new().await;
    let job = |title: &str| json!({ "email": "a@example.com", "job_title": title });
    world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", job("Old"))).await;
    world.drain().await;
    // HubSpot applies the change, and its answer is lost on the way.
    let lost = ApplyThenFail { how: FailHow::Cut, status: 502, remaining: Some(1) };
    world.sandbox.set_faults(Faults { apply_then_fail: Some(lost), ..Faults::default() });
    world.accept(&user("2", "u-1", "2026-01-02T10:00:00Z", job("Lost"))).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["jobtitle"], "Lost");
    world.accept(&user("3", "u-1", "2026-01-03T10:00:00Z", job("Old"))).await;
    world.advance(TimeDelta::seconds(61));
    world.drain().await;
    assert_eq!(world.only("contacts")["jobtitle"], "Old");
    assert_eq!(world.get("/status").await["counts"]["synced"], 3);
}

#[tokio::test]
async fn a_delete_voids_what_is_older_and_a_newer_event_creates_the_record_again() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let events = [
        user(
            "1",
            "u-1",
            "2026-01-01T10:00:00Z",
            json!({ "email": "a@example.com", "job_title": "Old" }),
        ),
        event("2", "user.deleted", "u-1", "2026-01-02T10:00:00Z", json!({})),
        user("3", "u-1", "2026-01-03T10:00:00Z", json!({ "email": "b@example.com" })),
    ];
    for _ in 0..6 {
        let world = World::new().await;
        let mut events: Vec<Value> = events.to_vec();
        events.shuffle(&mut dice);
        for event in &events {
            world.accept(event).await;
            if dice.random_bool(0.6) {
                world.drain().await;
            }
        }
        world.drain().await;
        let contact = world.only("contacts");
        assert_eq!(contact["email"], "b@example.com");
        assert_eq!(contact.get("jobtitle").map_or("", String::as_str), "", "{contact:?}");
        assert_eq!(world.get("/status").await["counts"]["synced"], 3);
    }
}
