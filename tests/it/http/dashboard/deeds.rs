//! What people do: retry with a preview, discard, reveal, resync, pause, keys, the live tail.

use chrono::TimeDelta;
use futures_util::StreamExt;
use hubferry::access::Role;
use serde_json::json;

use super::{Browser, between, filled};
use crate::support::{World, user};

/// The actions of the audit, newest first.
async fn deeds(world: &World) -> Vec<String> {
    let lines = world.get("/audit").await;
    let lines = lines["items"].as_array().unwrap();
    lines.iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_group_is_retried_after_a_preview_that_says_what_would_be_sent() {
    let world = World::new().await;
    let [_, failed, _] = filled(&world, "u-1", "u-2").await;
    let browser = Browser::with_role(&world, Role::Operator).await;
    let errors = browser.get("/admin/errors").await.ok();
    let form =
        errors.text.split("<form method=\"post\" action=\"/admin/queue/retry\">").nth(1).unwrap();
    let form = form.split_once("</form>").unwrap().0;
    let fields: Vec<(&str, &str)> = form
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|rest| (rest.split_once('"').unwrap().0, between(rest, "value=\"", "\"").unwrap()))
        .collect();
    assert!(fields.contains(&("error_code", "CONFLICT")) && fields.contains(&("all", "yes")));

    let preview = browser.post("/admin/queue/retry", &fields).await.ok();
    let words = preview.words();
    assert!(words.contains("Retry 1 row?"), "{words}");
    for told in ["email hidden, 16 characters goes out", "firstname hidden, 5 characters goes out"]
    {
        assert!(words.contains(told), "{told}: {words}");
    }
    assert!(!preview.text.contains("marie@company.fr") && !preview.text.contains("Dupont"));
    assert_eq!(world.row(&failed).await["status"], "failed", "a preview does nothing");

    let mut confirmed = fields.clone();
    confirmed.push(("confirm", "yes"));
    let seen = browser.post("/admin/queue/retry", &confirmed).await;
    assert_eq!(seen.status, 303);
    let way = seen.header("location").to_owned();
    assert!(way.contains("acted_at=") && way.contains("done=retried&n=1"), "{way}");
    assert_eq!(world.row(&failed).await["status"], "pending");
    let list = browser.get(&way).await.ok();
    assert!(list.words().contains("1 row retried"), "{}", list.words());
    assert_eq!(deeds(&world).await[0], "retry");

    let again = browser.post("/admin/queue/retry", &fields).await.ok();
    assert!(again.words().contains("nothing to retry"), "{}", again.words());
}

#[tokio::test]
async fn picked_rows_are_discarded_after_a_look_and_can_be_put_back() {
    let world = World::new().await;
    let [synced, failed, _] = filled(&world, "u-1", "u-2").await;
    let browser = Browser::admin(&world).await;
    let picked = [("id", failed.as_str()), ("id", synced.as_str())];
    let preview = browser.submit("/admin/queue/discard", &picked).await.ok();
    assert!(preview.words().contains("Discard 1 row?"), "{}", preview.words());
    assert!(
        preview.text.contains("name=\"id\" value=\"")
            && preview.words().contains("email hidden, 16 characters goes out")
    );
    let confirmed = [picked[0], picked[1], ("confirm", "yes")];
    assert_eq!(browser.submit("/admin/queue/discard", &confirmed).await.status, 303);
    let row = browser.get(&format!("/admin/queue/{failed}")).await.ok();
    assert!(row.words().contains("discarded") && !row.text.contains(">Retry<"), "{}", row.words());
    assert_eq!(world.row(&synced).await["status"], "synced");
    // A mistake is undone on the row's page.
    assert!(row.text.contains(">Put back and retry<"), "{}", row.text);
    let back = browser.submit(&format!("/admin/queue/{failed}/retry"), &[]).await;
    assert_eq!(back.status, 303);
    assert_eq!(world.row(&failed).await["status"], "pending");
    assert_eq!(world.row(&failed).await["discarded_at"], serde_json::Value::Null);
    world.drain().await;
    assert_eq!(world.row(&failed).await["status"], "failed", "its address is still another's");
    assert_eq!(world.get("/status").await["counts"]["failed"], 1);
    // One row alone: the same look first, and the way leads back to it.
    let one = [("id", failed.as_str())];
    browser.submit("/admin/queue/discard", &one).await.ok();
    assert_eq!(world.row(&failed).await["status"], "failed");
    let seen = browser.submit("/admin/queue/discard", &[one[0], ("confirm", "yes")]).await;
    assert_eq!(seen.header("location"), format!("/admin/queue/{failed}?done=discarded"));
    let one = browser.submit(&format!("/admin/queue/{synced}/retry"), &[]).await;
    assert_eq!(one.status, 409);
    assert_eq!(browser.submit("/admin/queue/999999/retry", &[]).await.status, 404);

    let nothing = browser.submit("/admin/queue/retry", &[]).await.ok();
    assert!(nothing.words().contains("nothing to retry"), "nothing picked is not everything");
}

#[tokio::test]
async fn personal_data_is_hidden_until_revealed_and_that_is_noted() {
    let world = World::new().await;
    let [synced, failed, _] = filled(&world, "u-1", "u-2").await;
    let browser = Browser::with_role(&world, Role::Operator).await;
    let secrets = ["marie@company.fr", "Marie", "Dupont"];
    for (page, target) in [
        (format!("/admin/queue/{synced}"), format!("row {synced}")),
        (format!("/admin/queue/{failed}"), format!("row {failed}")),
        ("/admin/records/contact/u-1".to_owned(), "contact record 1".to_owned()),
    ] {
        let hidden = browser.get(&page).await.ok();
        assert!(
            hidden.words().contains("email") && hidden.words().contains("hidden, 16 characters")
        );
        for secret in secrets {
            assert!(!hidden.text.contains(secret), "{page} shows {secret}");
        }
        assert!(!deeds(&world).await.contains(&format!("reveal of {target}")));
        let shown = browser.submit(&format!("{page}/reveal"), &[]).await.ok();
        for secret in secrets {
            assert!(shown.text.contains(secret), "{page} hides {secret}");
        }
        assert_eq!(shown.header("cache-control"), "no-store");
        let audit = world.get("/audit").await["items"][0].clone();
        assert_eq!((&audit["action"], &audit["target"]), (&json!("reveal"), &json!(target)));
        assert!(audit["actor"].as_str().unwrap().starts_with("a operator"), "{audit}");
        let again = browser.get(&page).await.ok();
        assert!(!again.text.contains(secrets[0]), "it is hidden again");
    }
}

#[tokio::test]
async fn one_row_is_retried_and_its_record_sent_again() {
    let world = World::new().await;
    let [_, failed, _] = filled(&world, "u-1", "u-2").await;
    let browser = Browser::admin(&world).await;
    let page = format!("/admin/queue/{failed}");
    let seen = browser.submit(&format!("{page}/retry"), &[]).await;
    assert_eq!((seen.status, seen.header("location")), (303, &*format!("{page}?done=retried")));
    let told = browser.get(seen.header("location")).await.ok().words();
    assert!(told.contains("The row is retried"), "{told}");
    world.drain().await;

    world.sandbox.clear_calls();
    let seen = browser.submit("/admin/records/contact/u-1/resync", &[]).await;
    assert_eq!(seen.status, 303);
    world.drain().await;
    assert_eq!(world.calls("contacts/batch/update"), 1, "all of it went again");
    assert_eq!(browser.submit("/admin/records/contact/nobody/resync", &[]).await.status, 404);
}

#[tokio::test]
async fn sending_is_paused_with_a_reason_and_resumed() {
    let world = World::new().await;
    let browser = Browser::with_role(&world, Role::Operator).await;
    let seen = browser.submit("/admin/pause", &[("reason", "  the importer runs  ")]).await;
    assert_eq!((seen.status, seen.header("location")), (303, "/admin"));
    let status = world.get("/status").await;
    assert_eq!(status["gate"]["reasons"][0]["reason"], "the importer runs");
    assert_eq!(browser.submit("/admin/resume", &[]).await.status, 303);
    assert_eq!(world.get("/status").await["gate"]["state"], "open");
    assert_eq!(deeds(&world).await[..2], ["resume".to_owned(), "pause".to_owned()]);
}

#[tokio::test]
async fn a_key_is_shown_once_opens_the_door_and_is_revoked() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let in_a_year = (world.queue.now().await.unwrap() + TimeDelta::days(365)).to_rfc3339();
    let fields = [("name", "Ada <ops>"), ("role", "operator"), ("expires_at", &*in_a_year)];
    let made = browser.submit("/admin/keys", &fields).await;
    assert_eq!(made.status, 201);
    let key = between(&made.text, "id=\"fresh-key\">", "<").unwrap().to_owned();
    let list = browser.get("/admin/keys").await.ok();
    assert!(!list.text.contains(&key) && list.text.contains("Ada &#60;ops&#62;"), "{}", list.text);

    let ada = Browser::signed_in(&world, &key).await;
    ada.get("/admin").await.ok();
    let revoke = between(&list.text, "action=\"/admin/keys/", "/revoke\"").unwrap();
    // First what it means, and for whom.
    let asked = browser.submit(&format!("/admin/keys/{revoke}/revoke"), &[]).await.ok();
    assert!(asked.words().contains("Last used") && asked.words().contains("cannot be undone"));
    ada.get("/admin").await.ok();
    let yes = [("confirm", "yes")];
    let seen = browser.submit(&format!("/admin/keys/{revoke}/revoke"), &yes).await;
    assert_eq!(seen.status, 303);
    assert_eq!(ada.get("/admin").await.status, 303, "the sessions of the key end with it");
    assert!(browser.get("/admin/keys").await.words().contains("revoked"));
    assert_eq!(browser.submit(&format!("/admin/keys/{revoke}/revoke"), &[]).await.status, 404);
    assert_eq!(browser.submit(&format!("/admin/keys/{revoke}/revoke"), &yes).await.status, 404);

    for (fields, fault) in [
        ([("name", " "), ("role", "viewer"), ("expires_at", "")], "name:"),
        ([("name", "x"), ("role", "king"), ("expires_at", "")], "is no role"),
        ([("name", "x"), ("role", "viewer"), ("expires_at", "soon")], "is no date"),
        ([("name", "x"), ("role", "viewer"), ("expires_at", "2001-01-01T00:00")], "expires:"),
    ] {
        let seen = browser.submit("/admin/keys", &fields).await;
        assert_eq!(seen.status, 422, "{fields:?}");
        assert!(seen.words().contains(fault), "{}", seen.words());
    }
}

#[tokio::test]
async fn the_tail_sends_each_new_line_as_a_table_row() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let cookie = format!("hubferry_session={}", browser.cookies.borrow()["hubferry_session"]);
    let request = world.http.get(format!("{}/admin/logs/stream?kind=call", world.url));
    let reply = request.header("cookie", &cookie).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "text/event-stream");
    let mut stream = reply.bytes_stream();
    let data = json!({ "email": "a@example.com" });
    world.accept(&user("e-1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let mut text = String::new();
    let read = async {
        while !text.contains("\n\n") || !text.contains("event: line") {
            text.push_str(&String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("a line");
    assert!(text.contains("data: <tr") && text.contains("1 input"), "{text}");
    let page = browser.get("/admin/logs").await.ok();
    drop(stream);
    // The page's tail begins where the page ends, whatever comes in between.
    let tail = between(&page.text, "sse-connect=\"", "\"").unwrap().replace("&#38;", "&");
    world.accept(&user("e-2", "u-2", "2026-01-01T10:00:00Z", json!({ "first_name": "B" }))).await;
    world.drain().await;
    let request = world.http.get(format!("{}{tail}", world.url)).header("cookie", cookie);
    let mut stream = request.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    let read = async {
        while !text.contains("data: <tr") {
            text.push_str(&String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("what came");
    assert!(page.words().contains("1 input"), "{}", page.words());
    let calm = browser.get("/admin/logs?failures=yes").await.ok();
    assert!(!calm.words().contains("1 input"), "{}", calm.words());
    assert!(calm.text.contains("sse-connect=\"/admin/logs/stream?failures=yes"));
    assert_eq!(Browser::new(&world).get("/admin/logs/stream").await.status, 303);
}
