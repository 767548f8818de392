//! Subjects that share a HubSpot record after people merged theirs: what a delete or an erasure of
//! one of them takes along, and what it leaves to the others.

use hubspot_sandbox::Faults;
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

fn at(id: &str, subject: &str, day: u32, data: Value) -> Value {
    user(id, subject, &format!("2026-01-{day:02}T10:00:00Z"), data)
}

fn gone(id: &str, verb: &str, subject: &str, day: u32) -> Value {
    let time = format!("2026-01-{day:02}T10:00:00Z");
    event(id, &format!("user.{verb}"), subject, &time, json!({}))
}

fn id_of(world: &World, user: &str) -> String {
    let mut contacts = world.sandbox.objects("contacts").into_iter();
    contacts.find(|c| c.properties["hubferry_id"] == user).expect("a contact").id
}

/// The names of the companies that the only contact belongs to.
fn companies(world: &World) -> Vec<String> {
    let companies = world.sandbox.objects("companies");
    let pairs = world.sandbox.associations();
    let pairs = pairs.iter().filter(|a| a.from_type == "contacts" && a.type_id == 279);
    let named = pairs.filter_map(|a| companies.iter().find(|c| c.id == a.to_id));
    named.map(|c| c.properties["name"].clone()).collect()
}

/// Users `u-1` to `u-n`, each with a first name and a company, that people merge into `u-1`.
async fn merged(n: u32, faults: Faults) -> World {
    let world = World::new().await;
    world.sandbox.set_faults(faults);
    for n in 1..=n {
        let (id, time) = (format!("b-{n}"), "2026-01-01T09:00:00Z");
        let company = event(&id, "business.created", &id, time, json!({ "name": id }));
        let data = json!({ "email": format!("u{n}@example.com"), "business_id": id,
                           "first_name": format!("First {n}") });
        world.accept(&json!([company, at(&format!("new-{n}"), &format!("u-{n}"), n, data)])).await;
        world.drain().await;
    }
    for n in 2..=n {
        let (primary, other) = (id_of(&world, "u-1"), id_of(&world, &format!("u-{n}")));
        world.sandbox.merge("contacts", &primary, &other).expect("a survivor");
    }
    world
}

fn keeps_id() -> Faults {
    Faults { merge_keeps_primary_id: true, ..Faults::default() }
}

/// All forms that a merge may have.
fn forms() -> Vec<Faults> {
    let form = |merge_keeps_primary_id, merged_ids_vanish| Faults {
        merge_keeps_primary_id,
        merged_ids_vanish,
        ..Faults::default()
    };
    vec![form(false, false), form(true, false), form(false, true), form(true, true)]
}

async fn at_rest(world: &World, synced: u64) {
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
    let counts = world.get("/status").await["counts"].clone();
    assert_eq!((&counts["synced"], &counts["failed"]), (&json!(synced), &json!(0)), "{counts}");
}

#[tokio::test]
async fn a_survivor_that_is_deleted_leaves_the_contact_to_the_other_with_its_own_values() {
    for (survivors, aliases) in [(5, 6), (6, 5)] {
        let world = merged(2, keeps_id()).await;
        let title = |n| json!({ "job_title": format!("Title {n}") });
        world.accept(&at("t-2", "u-2", aliases, title(2))).await;
        world.drain().await;
        world.accept(&at("t-1", "u-1", survivors, title(1))).await;
        world.accept(&at("p-1", "u-1", 4, json!({ "phone": "+33612345678" }))).await;
        world.drain().await;
        assert_eq!(world.only("contacts")["phone"], "+33612345678");
        // Rows that have long been done are forgotten; what they brought is not.
        let later = world.queue.now().await.unwrap() + chrono::TimeDelta::days(1);
        assert!(world.queue.forget(later, 0).await.unwrap().rows > 0);
        world.sandbox.clear_calls();
        world.accept(&gone("gone", "deleted", "u-1", 7)).await;
        world.drain().await;
        let contact = world.only("contacts");
        let shown = |name: &str| contact.get(name).map_or("", String::as_str);
        assert_eq!(
            [shown("hubferry_id"), shown("jobtitle"), shown("firstname"), shown("email")],
            ["u-2", "Title 2", "First 2", "u2@example.com"]
        );
        assert_eq!(shown("phone"), "", "that was the other's");
        assert_eq!(companies(&world), ["b-2"]);
        assert_eq!(world.calls("archive"), 0);
        // It goes on by itself.
        world.accept(&at("on", "u-2", 8, json!({ "job_title": "Owner" }))).await;
        world.drain().await;
        assert_eq!(world.only("contacts")["jobtitle"], "Owner");
        world.accept(&gone("end", "deleted", "u-2", 9)).await;
        world.drain().await;
        assert!(world.sandbox.objects("contacts").is_empty(), "nobody is left");
        at_rest(&world, 3).await;
    }
}

#[tokio::test]
async fn an_alias_that_is_deleted_gives_the_survivor_its_older_values_back() {
    let world = merged(2, keeps_id()).await;
    world.accept(&at("t-1", "u-1", 4, json!({ "job_title": "Title 1" }))).await;
    let data = json!({ "job_title": "Title 2", "phone": "+33612345678" });
    world.accept(&at("t-2", "u-2", 5, data)).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["jobtitle"], "Title 2");
    world.accept(&gone("gone", "deleted", "u-2", 6)).await;
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!(
        [&*contact["hubferry_id"], &*contact["jobtitle"], &*contact["firstname"]],
        ["u-1", "Title 1", "First 1"]
    );
    assert_eq!(contact.get("phone"), None);
    assert_eq!(companies(&world), ["b-1"]);
    // What is newer than its delete counts again.
    world.accept(&at("again", "u-2", 7, json!({ "job_title": "Back" }))).await;
    world.accept(&at("late", "u-2", 5, json!({ "last_name": "Late" }))).await;
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!((&*contact["jobtitle"], contact.get("lastname")), ("Back", None));
    at_rest(&world, 9).await;
}

#[tokio::test]
async fn a_delete_that_comes_before_the_merge_is_known_takes_only_its_own_subject_along() {
    for (faults, deleted) in forms().into_iter().flat_map(|f| [(f.clone(), 1), (f, 2)]) {
        let form = format!("{deleted}: {faults:?}");
        let world = merged(2, faults).await;
        world.accept(&gone("gone", "deleted", &format!("u-{deleted}"), 6)).await;
        world.drain().await;
        let other = 3 - deleted;
        // In one form or another the next event finds the contact.
        world.accept(&at("on", &format!("u-{other}"), 8, json!({ "job_title": "On" }))).await;
        world.drain().await;
        let contact = world.only("contacts");
        let (key, name) = (format!("u-{other}"), format!("First {other}"));
        assert_eq!(
            [&*contact["hubferry_id"], &*contact["firstname"], &*contact["jobtitle"]],
            [&*key, &*name, "On"],
            "{form}"
        );
        at_rest(&world, 6).await;
    }
}

#[tokio::test]
async fn of_several_aliases_one_takes_over_and_the_others_go_with_it() {
    let world = merged(3, keeps_id()).await;
    for n in 2..=3 {
        let user = format!("u-{n}");
        world.accept(&at(&format!("t-{n}"), &user, n + 3, json!({ "job_title": user }))).await;
        world.drain().await;
    }
    for (day, deleted, left) in [(10, "u-1", "u-3"), (11, "u-3", "u-2")] {
        // A value that is still owed goes over too.
        let open = json!({ "last_name": format!("Of {left}") });
        world.accept(&at(&format!("open-{left}"), left, 9, open)).await;
        world.accept(&gone(&format!("gone-{deleted}"), "deleted", deleted, day)).await;
        world.drain().await;
        let contact = world.only("contacts");
        assert_eq!(contact["jobtitle"], left);
        assert_eq!(contact["lastname"], format!("Of {left}"));
    }
    assert_eq!(world.only("contacts")["hubferry_id"], "u-2");
    assert_eq!(companies(&world), ["b-2"]);
    world.accept(&gone("end", "deleted", "u-2", 12)).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    at_rest(&world, 13).await;
}

#[tokio::test]
async fn a_failed_row_of_an_alias_is_retried_under_it_after_the_survivor_was_deleted() {
    let world = merged(2, keeps_id()).await;
    world.accept(&at("t-2", "u-2", 5, json!({ "job_title": "Two" }))).await;
    world.drain().await;
    world.sandbox.create("contacts", &[("email", "taken@example.com"), ("hubferry_id", "u-9")]);
    let bad = world.accept(&at("bad", "u-2", 6, json!({ "email": "taken@example.com" }))).await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&bad, 0)).await["status"], "failed");
    world.accept(&gone("gone", "deleted", "u-1", 7)).await;
    world.drain().await;
    world.sandbox.archive("contacts", &id_of(&world, "u-9"));
    world.admin("POST", "/retry", Some(json!({}))).await;
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!([&*contact["hubferry_id"], &*contact["email"]], ["u-2", "taken@example.com"]);
    assert_eq!(world.row(&row_id(&bad, 0)).await["record"]["external_id"], "u-2");
    at_rest(&world, 7).await;
}

#[tokio::test]
async fn an_association_of_an_alias_that_is_refused_after_the_merge_is_retried_under_the_survivor()
{
    let world = merged(2, keeps_id()).await;
    let held = world.sandbox.objects("companies");
    let company = held.iter().find(|c| c.properties["name"] == "b-2").expect("a company");
    assert!(world.sandbox.archive("companies", &company.id));
    // The survivor takes the newer company over, which HubSpot does not know any more.
    world.accept(&at("t-2", "u-2", 5, json!({ "job_title": "Owner" }))).await;
    world.drain().await;
    let failed = world.get("/queue?status=failed").await;
    assert_eq!(failed["items"][0]["event_id"], "new-2", "{failed}");
    assert_eq!(failed["items"][0]["external_id"], "u-1", "{failed}");
    let data = json!({ "name": "b-2", "country": "FR" });
    let again = event("again", "business.updated", "b-2", "2026-01-06T10:00:00Z", data);
    world.accept(&again).await;
    world.drain().await;
    assert_eq!(world.admin("POST", "/retry", Some(json!({}))).await.0, 200);
    world.drain().await;
    assert_eq!(companies(&world), ["b-2"]);
    at_rest(&world, 6).await;
}

#[tokio::test]
async fn an_erased_survivor_takes_the_contact_along_and_the_other_is_made_anew() {
    let world = merged(2, keeps_id()).await;
    let kept = world.accept(&at("t-2", "u-2", 5, json!({ "job_title": "Two" }))).await;
    world.drain().await;
    let shared = id_of(&world, "u-1");
    world.accept(&gone("erased", "erased", "u-1", 6)).await;
    world.drain().await;
    assert_eq!(world.calls("gdpr-delete"), 1);
    let contact = world.only("contacts");
    assert_eq!(
        [&*contact["hubferry_id"], &*contact["firstname"], &*contact["jobtitle"]],
        ["u-2", "First 2", "Two"]
    );
    assert_ne!(id_of(&world, "u-2"), shared);
    assert_eq!(companies(&world), ["b-2"]);
    assert_eq!(world.row(&row_id(&kept, 0)).await["payload"]["job_title"], "Two");
    // HubSpot blocks every address of a contact that it erased: the row that brought it says so.
    let failed = world.get("/queue?status=failed").await;
    assert_eq!(failed["items"].as_array().map(Vec::len), Some(1), "{failed}");
    assert_eq!(failed["items"][0]["error"]["property"], "email");
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

#[tokio::test]
async fn an_erased_alias_leaves_nothing_of_its_own_in_the_contact() {
    let world = merged(2, keeps_id()).await;
    let data = json!({ "job_title": "Two", "phone": "+33612345678" });
    let row = world.accept(&at("t-2", "u-2", 5, data)).await;
    world.drain().await;
    world.accept(&gone("erased", "erased", "u-2", 6)).await;
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!([&*contact["hubferry_id"], &*contact["firstname"]], ["u-1", "First 1"]);
    assert_eq!((contact.get("jobtitle"), contact.get("phone")), (None, None));
    assert_eq!(world.calls("gdpr-delete"), 0);
    assert_eq!(world.row(&row_id(&row, 0)).await["payload"], Value::Null);
    at_rest(&world, 6).await;
}

#[tokio::test]
async fn a_merge_is_known_by_the_contact_that_lists_the_old_id_where_hubspot_knows_it_no_longer() {
    for faults in forms() {
        let form = format!("{faults:?}");
        let world = merged(2, faults).await;
        for (n, user) in [(5, "u-2"), (6, "u-1"), (7, "u-2")] {
            world.accept(&at(&format!("t-{n}"), user, n, json!({ "job_title": user }))).await;
            world.drain().await;
            assert_eq!(world.only("contacts")["jobtitle"], user, "{form}");
        }
        at_rest(&world, 7).await;
        let known = "SELECT count(*) FROM crm_record WHERE alias_of IS NOT NULL";
        let known: i64 = sqlx::query_scalar(known).fetch_one(world.queue.pool()).await.unwrap();
        assert_eq!(known, 1, "{form}");
    }
}
