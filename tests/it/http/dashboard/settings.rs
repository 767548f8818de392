//! Settings: what is changed is stored, what is wrong is told beside its field, and taken back.

use hubferry::access::Role;
use serde_json::json;

use super::{Browser, Seen, between};
use crate::support::World;

/// The fields that the form of `page` would send as they stand.
fn fields(page: &Seen) -> Vec<(String, String)> {
    let form = page.text.split_once("action=\"/admin/settings\"").unwrap().1;
    let mut all = Vec::new();
    for rest in form.split("<input ").skip(1) {
        let tag = rest.split_once('>').unwrap().0;
        let name = between(tag, "name=\"", "\"").unwrap();
        all.push((name.to_owned(), between(tag, "value=\"", "\"").unwrap().to_owned()));
    }
    for rest in form.split("<select ").skip(1) {
        let name = between(rest, "name=\"", "\"").unwrap();
        let chosen = between(rest, "<option selected>", "<").unwrap();
        all.push((name.to_owned(), chosen.to_owned()));
    }
    for rest in form.split("<textarea ").skip(1) {
        let text = between(rest, ">", "</textarea>").unwrap();
        all.push((between(rest, "name=\"", "\"").unwrap().to_owned(), text.to_owned()));
    }
    all
}

async fn send(
    browser: &Browser<'_>,
    fields: &[(String, String)],
    changes: &[(&str, &str)],
) -> Seen {
    let mut all: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    for (name, value) in changes {
        all.iter_mut().find(|(key, _)| key == name).expect(name).1 = value;
    }
    browser.post("/admin/settings", &all).await
}

#[tokio::test]
async fn a_setting_is_changed_says_by_whom_and_is_taken_back() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let form = fields(&browser.get("/admin/settings").await.ok());
    let changes = [
        ("retry.max_retries", "5"),
        ("worker.enabled", "false"),
        ("ingest.priorities", "user.* = high\r\ndispute.resolved=low"),
    ];
    let seen = send(&browser, &form, &changes).await;
    assert_eq!((seen.status, seen.header("location")), (303, "/admin/settings?done=saved"));
    let page = browser.get("/admin/settings?done=saved").await.ok();
    let words = page.words();
    assert!(words.contains("Saved.") && words.contains("by admin key"), "{words}");
    assert_eq!(words.matches("stored here").count(), 3, "only what was changed: {words}");
    let stored = world.get("/settings").await;
    let value = |key: &str| {
        let all = stored["settings"].as_array().unwrap();
        all.iter().find(|s| s["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(value("retry.max_retries"), 5);
    assert_eq!(value("worker.enabled"), false);
    assert_eq!(value("ingest.priorities"), json!({ "user.*": "high", "dispute.resolved": "low" }));

    // The form of somebody who opened it before all that changes only what he changed.
    send(&browser, &form, &[("breaker.threshold", "9")]).await;
    let words = browser.get("/admin/settings").await.ok().words();
    assert_eq!(words.matches("stored here").count(), 4, "{words}");

    let seen = browser.submit("/admin/settings", &[("reset", "retry.max_retries")]).await;
    assert_eq!(seen.status, 303);
    let words = browser.get("/admin/settings").await.ok().words();
    assert_eq!(words.matches("stored here").count(), 3, "{words}");
    let audit = browser.get("/admin/audit?action=settings").await.ok().words();
    assert!(audit.contains("retry.max_retries: (from: 5, to: 3)"), "{audit}");
}

#[tokio::test]
async fn what_is_wrong_is_told_beside_its_field_and_nothing_is_stored() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let form = fields(&browser.get("/admin/settings").await.ok());
    let changes = [
        ("retry.max_retries", "<b>many"),
        ("breaker.threshold", "-1"),
        ("retry.factor", "3"),
        ("ingest.priorities", "user.* = urgent\nnobody.came = high"),
    ];
    let page = send(&browser, &form, &changes).await;
    assert_eq!(page.status, 422);
    super::pages::whole("settings", &page.text);
    assert!(page.text.contains("value=\"&#60;b&#62;many\""), "what was typed stays");
    assert_eq!(page.text.matches("aria-invalid=\"true\"").count(), 3, "{}", page.text);
    assert!(page.words().contains("Nothing was saved"), "{}", page.words());
    let words = browser.get("/admin/settings").await.ok().words();
    assert!(!words.contains("stored here"), "{words}");

    let viewer = Browser::with_role(&world, Role::Viewer).await;
    let page = viewer.get("/admin/settings").await.ok();
    let form = page.text.split_once("action=\"/admin/settings\"").unwrap().1;
    assert!(!form.contains("<button") && !form.contains("<select"), "{form}");
    assert!(page.words().contains("needs the role admin"), "{}", page.words());
    let seen = viewer.submit("/admin/settings", &[("reset", "retry.factor")]).await;
    assert_eq!(seen.status, 403);
}
