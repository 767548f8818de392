//! Two of ours that people made one in HubSpot, at awkward moments.

use hubferry::queue::delivery::settlement::{Certainty, Settlement};
use hubspot_sandbox::Faults;
use serde_json::{Value, json};

use crate::support::{World, event, user};

fn at(id: &str, subject: &str, day: u32, data: Value) -> Value {
    user(id, subject, &format!("2026-01-{day:02}T10:00:00Z"), data)
}

fn business(id: &str) -> Value {
    event(id, "business.created", id, "2026-01-01T09:00:00Z", json!({ "name": id }))
}

fn id_of(world: &World, kind: &str, property: &str, value: &str) -> String {
    let mut records = world.sandbox.objects(kind).into_iter();
    records.find(|r| r.properties[property] == value).expect("a record").id
}

/// The names of the companies that the only contact belongs to.
fn companies(world: &World) -> Vec<String> {
    let companies = world.sandbox.objects("companies");
    let pairs = world.sandbox.associations();
    let pairs = pairs.iter().filter(|a| a.from_type == "contacts" && a.type_id == 279);
    let named = pairs.filter_map(|a| companies.iter().find(|c| c.id == a.to_id));
    named.map(|c| c.properties["name"].clone()).collect()
}

/// Two users in HubSpot, with the companies `of` each.
async fn two(of: [Option<&str>; 2]) -> World {
    let world = World::new().await;
    world.sandbox.set_faults(Faults { merge_keeps_primary_id: true, ..Faults::default() });
    for id in of.iter().flatten() {
        world.accept(&business(id)).await;
    }
    world.drain().await;
    for (n, of) in of.into_iter().enumerate() {
        let (n, email) = (n + 1, format!("u{n}@example.com"));
        let mut data = json!({ "email": email });
        if let Some(of) = of {
            data["business_id"] = json!(of);
        }
        world.accept(&at(&format!("new-{n}"), &format!("u-{n}"), n as u32, data)).await;
    }
    world.drain().await;
    world
}

/// In HubSpot `u-2` goes into `u-1`, which keeps its id; here nobody knows yet.
fn merge(world: &World) {
    let id = |user| id_of(world, "contacts", "hubferry_id", user);
    world.sandbox.merge("contacts", &id("u-1"), &id("u-2")).expect("a survivor");
}

/// Steps until the merge is known.
async fn noticed(world: &World) {
    for _ in 0..20 {
        world.step().await;
        let known = "SELECT count(*) FROM crm_record WHERE alias_of IS NOT NULL";
        let known: i64 = sqlx::query_scalar(known).fetch_one(world.queue.pool()).await.unwrap();
        if known == 1 {
            return;
        }
    }
    panic!("the merge is not noticed");
}

#[tokio::test]
async fn who_holds_the_survivor_while_another_goes_into_it_is_fenced() {
    let world = two([None, None]).await;
    merge(&world);
    world.accept(&at("older", "u-1", 5, json!({ "job_title": "Older" }))).await;
    let slow = world.lease("contact").await;
    world.accept(&at("newest", "u-2", 6, json!({ "job_title": "Newest" }))).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["jobtitle"], "Newest");
    // The slow one's call reaches HubSpot only now: he knew nothing of what came over.
    let id = id_of(&world, "contacts", "hubferry_id", "u-1");
    world.sandbox.edit("contacts", &id, &[("jobtitle", "Older")]);
    let mut late = Settlement::release(slow.records[0].id, slow.records[0].doubt);
    late.certainty = Certainty::Certain;
    let now = world.queue.now().await.unwrap();
    assert_eq!(world.queue.settle(&slow.lease, &[late], None, now).await.unwrap().fenced, 1);
    world.drain().await;
    assert_eq!(world.only("contacts")["jobtitle"], "Newest");
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

#[tokio::test]
async fn the_pair_of_one_that_is_deleted_right_after_its_merge_comes_to_its_end() {
    let world = two([Some("b-1"), Some("b-2")]).await;
    merge(&world);
    world.accept(&at("touch", "u-2", 5, json!({ "job_title": "x" }))).await;
    noticed(&world).await;
    assert_eq!(companies(&world).len(), 2, "both pairs stand still");
    world.accept(&event("gone", "user.deleted", "u-2", "2026-01-06T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert_eq!(companies(&world), ["b-1"], "the survivor's own; the other's went with its delete");
    assert_eq!(world.only("contacts")["hubferry_id"], "u-1");
    assert_eq!(world.get("/status").await["counts"]["synced"], 6);
}

#[tokio::test]
async fn a_target_that_hubspot_refused_does_not_stand_for_the_one_that_comes_over() {
    let world = World::new().await;
    world.sandbox.set_faults(Faults { merge_keeps_primary_id: true, ..Faults::default() });
    world.accept(&json!([business("b-1"), business("b-2")])).await;
    world.drain().await;
    // Vanished unknown to us: the pair is refused.
    world.sandbox.archive("companies", &id_of(&world, "companies", "name", "b-1"));
    let one = json!({ "email": "u1@example.com", "business_id": "b-1" });
    world
        .accept(&json!([
            at("1", "u-1", 1, one),
            at("2", "u-2", 2, json!({ "email": "u2@example.com" }))
        ]))
        .await;
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["failed"], 1);
    merge(&world);
    let data = json!({ "job_title": "x", "business_id": "b-2" });
    world.accept(&at("3", "u-2", 5, data)).await;
    world.drain().await;
    assert_eq!(companies(&world), ["b-2"]);
}

/// In a merge the values of the one that people keep win: those of ours are sent once more.
#[tokio::test]
async fn a_record_that_people_merged_into_another_has_our_values_again() {
    let world = World::new().await;
    let ann = json!({ "email": "ann@example.com", "first_name": "Ann", "job_title": "Baker" });
    world.accept(&at("1", "u-1", 1, ann)).await;
    world.drain().await;
    let theirs = [("email", "anna@example.org"), ("firstname", "Anna"), ("city", "Lyon")];
    let theirs = world.sandbox.create("contacts", &theirs);
    let ours = id_of(&world, "contacts", "hubferry_id", "u-1");
    world.sandbox.merge("contacts", &theirs, &ours).expect("a survivor");
    world.accept(&at("2", "u-1", 2, json!({ "job_title": "Chef" }))).await;
    world.drain().await;
    let held = world.only("contacts");
    let held = ["email", "firstname", "jobtitle", "city", "hubferry_id"].map(|name| &held[name]);
    assert_eq!(held, ["ann@example.com", "Ann", "Chef", "Lyon", "u-1"]);
    assert_eq!(world.sandbox.objects("contacts").len(), 1);
    // Once: afterwards only what changes is sent.
    let calls = world.sandbox.calls().len();
    world.accept(&at("3", "u-1", 3, json!({ "job_title": "Chef" }))).await;
    world.drain().await;
    assert_eq!(world.sandbox.calls().len(), calls);
}
