//! What a thousand records cost, and that every input is accounted for.

use hubspot_sandbox::{DropInputs, Faults};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

const THOUSAND: usize = 1_000;

fn contacts(round: &str, time: &str, title: &str) -> Value {
    let contact = |n: usize| {
        let data = json!({ "email": format!("u{n}@example.com"), "job_title": title,
                           "business_id": format!("b-{n}") });
        user(&format!("{round}-{n}"), &format!("u-{n}"), time, data)
    };
    (0..THOUSAND).map(contact).collect()
}

fn companies() -> Value {
    let company = |n: usize| {
        let data = json!({ "name": format!("Business {n}") });
        event(
            &format!("b-{n}"),
            "business.created",
            &format!("b-{n}"),
            "2026-01-01T09:00:00Z",
            data,
        )
    };
    (0..THOUSAND).map(company).collect()
}

#[tokio::test]
async fn a_thousand_records_cost_ten_calls_a_thousand_links_at_most_eleven_unchanged_ones_none() {
    let world = World::new().await;
    world.accept(&contacts("new", "2026-01-01T10:00:00Z", "Owner")).await;
    world.drain().await;
    assert!(world.calls("contacts/batch/up") <= 11, "{} calls", world.calls("contacts/batch/up"));
    assert_eq!(world.sandbox.objects("contacts").len(), THOUSAND);

    world.sandbox.clear_calls();
    world.accept(&companies()).await;
    world.drain().await;
    assert!(world.calls("companies/batch/up") <= 11);
    let links = world.calls("associations");
    assert!((1..=11).contains(&links), "{links} calls for a thousand links");
    let made = world.sandbox.associations();
    let linked = made.iter().filter(|a| a.from_type == "contacts" && a.type_id == 279).count();
    assert_eq!(linked, THOUSAND);

    // The same values again, reported later.
    world.sandbox.clear_calls();
    world.accept(&contacts("same", "2026-01-02T10:00:00Z", "Owner")).await;
    assert_eq!(world.drain().await, 0);
    assert!(world.sandbox.calls().is_empty());
    assert_eq!(world.get("/status").await["counts"]["synced"], 3 * THOUSAND);

    world.accept(&contacts("changed", "2026-01-03T10:00:00Z", "Director")).await;
    world.drain().await;
    assert!(world.calls("") <= 11, "{} calls", world.calls(""));
    assert!(
        world.sandbox.objects("contacts").iter().all(|c| c.properties["jobtitle"] == "Director")
    );
}

#[tokio::test]
async fn companies_and_contacts_of_one_body_need_no_more_calls_in_whatever_order() {
    let world = World::new().await;
    let mut events = contacts("new", "2026-01-01T10:00:00Z", "Owner");
    events.as_array_mut().unwrap().extend(companies().as_array().unwrap().clone());
    world.accept(&events).await;
    world.drain().await;
    assert!(world.calls("objects") <= 22, "{} calls", world.calls("objects"));
    assert!(world.calls("associations") <= 11, "{} calls", world.calls("associations"));
    assert_eq!(world.get("/status").await["counts"]["synced"], 2 * THOUSAND);
}

#[tokio::test]
async fn ten_events_of_one_record_are_one_input() {
    let world = World::new().await;
    let events: Value = (0..10)
        .map(|n| {
            let data = json!({ "email": "a@example.com", "job_title": format!("Title {n}") });
            user(&n.to_string(), "u-1", &format!("2026-01-01T10:00:0{n}Z"), data)
        })
        .collect();
    world.accept(&events).await;
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.sandbox.calls()[0].inputs, 1);
    assert_eq!(world.only("contacts")["jobtitle"], "Title 9");
    assert_eq!(world.get("/status").await["counts"]["synced"], 10);
}

#[tokio::test]
async fn an_input_without_a_verdict_is_not_synced() {
    let world = World::new().await;
    let drop_inputs = DropInputs { every: None, keys: vec!["u-2".into()], remaining: Some(1) };
    world.sandbox.set_faults(Faults {
        drop_inputs: Some(drop_inputs),
        num_errors_lies: true,
        ..Faults::default()
    });
    let events: Value = (1..=3)
        .map(|n| {
            let data = json!({ "email": format!("u{n}@example.com") });
            user(&n.to_string(), &format!("u-{n}"), "2026-01-01T10:00:00Z", data)
        })
        .collect();
    let answer = world.accept(&events).await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");
    let dropped = world.row(&row_id(&answer, 1)).await;
    assert_eq!(dropped["status"], "retry", "{dropped}");
    assert_eq!(dropped["error"]["code"], "UNANSWERED");
    world.advance(chrono::TimeDelta::seconds(60));
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 1)).await["status"], "synced");
    assert_eq!(world.sandbox.objects("contacts").len(), 3);
}

#[tokio::test]
async fn what_a_call_carries_is_the_difference_and_the_key() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "job_title": "Owner" });
    world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let id = world.sandbox.objects("contacts")[0].id.clone();
    // A person changes a name in HubSpot; an event about something else leaves it alone.
    world.sandbox.edit("contacts", &id, &[("firstname", "Augusta")]);
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "job_title": "Director" });
    world.accept(&user("2", "u-1", "2026-01-02T10:00:00Z", data)).await;
    world.drain().await;
    let held = world.only("contacts");
    assert_eq!((held["firstname"].as_str(), held["jobtitle"].as_str()), ("Augusta", "Director"));
}
