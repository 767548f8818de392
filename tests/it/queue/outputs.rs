//! One event that changes several records, also of one object kind.

use serde_json::{Value, json};

use crate::http::dashboard::Browser;
use crate::support::files::files_and;
use crate::support::{Setup, World, event};

/// A project has an owner and a manager, who are two contacts, and is itself a deal.
const PROJECT: &str = r#"
entity = "project"
priority = "normal"
[verbs]
updated = "upsert"
deleted = "archive"
[[outputs]]
name = "owner"
object = "contact"
external_id = { from = "/owner/id" }
[[outputs.fields]]
property = "firstname"
from = "/owner/first_name"
[[outputs]]
name = "manager"
object = "contact"
external_id = { from = "/manager/id" }
[[outputs.fields]]
property = "firstname"
from = "/manager/first_name"
[[outputs]]
name = "deal"
object = "deal"
[[outputs.fields]]
property = "dealname"
from = "/name"
[[outputs.fields]]
property = "dealstage"
const = "appointmentscheduled"
[[outputs.fields]]
property = "pipeline"
const = "default"
[outputs.associations]
client = { output = "owner" }
[[examples]]
type = "project.updated"
data = '{"name": "Roof", "owner": {"id": "u-1", "first_name": "Ada"}, "manager": {"id": "u-2"}}'
[examples.outputs.owner]
external_id = "u-1"
properties = { firstname = "Ada" }
[examples.outputs.manager]
external_id = "u-2"
[examples.outputs.deal]
properties = { dealname = "Roof", dealstage = "appointmentscheduled", pipeline = "default" }
associations = { client = "u-1" }
"#;

async fn projects() -> World {
    let mapping = files_and(&[], &[("mappings/project.toml", PROJECT)]);
    World::with(Setup { mapping, ..Setup::default() }).await
}

fn roof(id: &str, time: &str, owner: &str, manager: &str) -> Value {
    let data = json!({ "name": "Roof", "owner": { "id": "u-1", "first_name": owner },
                       "manager": { "id": "u-2", "first_name": manager } });
    event(id, "project.updated", "p-1", time, data)
}

#[tokio::test]
async fn an_event_with_several_outputs_changes_each_record_with_its_own_values() {
    let world = projects().await;
    let answer = world.accept(&roof("1", "2026-01-01T10:00:00Z", "Ada", "Grace")).await;
    let rows = answer["events"][0]["rows"].as_array().unwrap();
    let told: Vec<_> =
        rows.iter().map(|r| (&r["output"], &r["sync_type"], &r["external_id"])).collect();
    let told_as = |output, kind, id| (json!(output), json!(kind), json!(id));
    let expected = [
        told_as("owner", "contact", "u-1"),
        told_as("manager", "contact", "u-2"),
        told_as("deal", "deal", "p-1"),
    ];
    assert_eq!(told, expected.iter().map(|(o, k, i)| (o, k, i)).collect::<Vec<_>>());
    world.drain().await;

    let mut names: Vec<_> = (world.sandbox.objects("contacts").into_iter())
        .map(|c| (c.properties["hubferry_id"].clone(), c.properties["firstname"].clone()))
        .collect();
    names.sort();
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(names, [pair("u-1", "Ada"), pair("u-2", "Grace")]);
    let deal = world.get("/records/deal/p-1").await;
    let slot = &deal["associations"][0];
    assert_eq!((&slot["target"], &slot["state"]), (&json!("u-1"), &json!("made")), "{deal}");

    // Each row is synced and says which output it is. So does the event.
    for row in rows {
        let shown = world.row(row["id"].as_str().unwrap()).await;
        assert_eq!((&shown["status"], &shown["output"]), (&json!("synced"), &row["output"]));
    }
    // The page of a row names the output where it is not the kind itself.
    let page = format!("/admin/queue/{}", rows[1]["id"].as_str().unwrap());
    let page = Browser::admin(&world).await.get(&page).await.ok().words();
    assert!(page.contains("Output manager"), "{page}");

    // A user of the application is the same contact.
    let user = json!({ "email": "ada@example.com", "first_name": "Augusta" });
    world.accept(&event("2", "user.updated", "u-1", "2026-01-02T10:00:00Z", user)).await;
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 2);
    // An older project event changes nothing, a newer one its own two.
    world.accept(&roof("3", "2026-01-01T12:00:00Z", "Old", "Hopper")).await;
    world.drain().await;
    let of = |id: &str| {
        let all = world.sandbox.objects("contacts").into_iter();
        let mut found = all.filter(|c| c.properties["hubferry_id"] == id);
        found.next().unwrap().properties["firstname"].clone()
    };
    assert_eq!((of("u-1"), of("u-2")), ("Augusta".to_owned(), "Hopper".to_owned()));
}

#[tokio::test]
async fn an_event_without_the_id_that_an_output_needs_is_refused_as_a_whole() {
    let world = projects().await;
    let data = json!({ "name": "Roof", "owner": { "id": "u-1" }, "manager": {} });
    let body = event("1", "project.updated", "p-1", "2026-01-01T10:00:00Z", data);
    let (status, answer) = world.post(&body).await;
    assert_eq!(status, 422);
    let fault = &answer["errors"][0];
    assert_eq!(
        (&fault["pointer"], &fault["code"]),
        (&json!("/data/manager/id"), &json!("required")),
        "{answer}"
    );
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

/// The change of a row is found by the name of its output, so that a file that lost one output does
/// not give its rows the values of another.
#[tokio::test]
async fn a_row_whose_output_is_gone_gets_no_values_of_another_output() {
    let world = projects().await;
    let renamed = PROJECT.replace("name = \"manager\"", "name = \"lead\"");
    let renamed = renamed.replace("outputs.manager]", "outputs.lead]");
    let mapping = files_and(&[], &[("mappings/project.toml", &renamed)]).unwrap();
    let answer = world.accept(&roof("1", "2026-01-01T10:00:00Z", "Ada", "Grace")).await;
    let manager = answer["events"][0]["rows"][1]["id"].as_str().unwrap().to_owned();
    world.drain_with(mapping).await;
    let row = world.row(&manager).await;
    assert_eq!(
        (&row["status"], &row["error"]["code"]),
        (&json!("failed"), &json!("NOT_MAPPED")),
        "{row}"
    );
    assert_eq!(world.only("contacts")["firstname"], "Ada");
}
