//! What the pages show, that nothing stored becomes markup, and that all state is in the address.

use chrono::TimeDelta;
use hubferry::access::Role;
use hubferry::http::pages::PAGES;
use serde_json::json;

use super::{Browser, between, everywhere, filled};
use crate::support::{World, user};

/// Stored by whoever may send events, or answered by HubSpot.
const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><i>";

#[tokio::test]
async fn every_page_renders_with_an_empty_queue() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let nothing = [
        ("/admin", "nothing waits"),
        ("/admin/queue", "No row matches"),
        ("/admin/records", "No record matches"),
        ("/admin/errors", "No row has failed"),
        ("/admin/logs", "Nothing has been logged"),
        ("/admin/audit", "sign_in"),
        ("/admin/keys", "Make a key"),
        ("/admin/settings", "retry.max_retries"),
    ];
    let pages = PAGES.iter().filter(|page| page.navigation.is_some());
    assert!(pages.map(|page| page.path).all(|path| nothing.iter().any(|(p, _)| *p == path)));
    for (path, word) in nothing {
        let page = browser.get(path).await.ok();
        assert!(page.words().contains(word), "{path}: {}", page.words());
    }
    for (path, status) in [
        ("/admin/queue/1", 404),
        ("/admin/queue/x", 404),
        ("/admin/records/contact/u-1", 404),
        ("/admin/queue?status=done", 400),
        ("/admin/queue?since=yesterday", 400),
        ("/admin/queue?cursor=x", 400),
        ("/admin/records?state=odd", 400),
        ("/admin/logs?cursor=x", 400),
        ("/admin/audit?cursor=x", 400),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text.contains("<nav"), "{path} keeps its frame");
        whole(path, &page.text);
    }
}

#[tokio::test]
async fn every_page_of_a_filled_queue_is_whole_and_under_a_strict_policy() {
    let world = World::new().await;
    let rows = filled(&world, "u-1", "u-2").await;
    let browser = Browser::admin(&world).await;
    let paths = everywhere(Role::Admin, &rows, &["contact/u-1", "deal/m-1"]);
    for path in &paths {
        let page = browser.get(path).await.ok();
        whole(path, &page.text);
        let policy = page.header("content-security-policy");
        let nonce = between(policy, "script-src 'nonce-", "'").expect("a nonce");
        assert_eq!(page.text.matches("<script").count(), 3, "{path}");
        assert_eq!(page.text.matches(&format!("nonce=\"{nonce}\"")).count(), 3, "{path}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
        assert_eq!(page.text.matches("<h1").count(), 1, "{path}");
    }
    let (one, two) = (browser.get("/admin").await, browser.get("/admin").await);
    let nonce = |page: &super::Seen| {
        between(page.header("content-security-policy"), "'nonce-", "'").unwrap().to_owned()
    };
    assert_ne!(nonce(&one), nonce(&two));
}

/// No script, style or handler in the page itself, and every field with a name of its own.
pub(super) fn whole(path: &str, text: &str) {
    for tag in tags(text) {
        let name = tag.split_whitespace().next().unwrap_or_default();
        assert!(!tag.contains("=\"javascript:"), "{path}: <{tag}>");
        // The names of the attributes, without their values.
        let bare: String = tag.split('"').step_by(2).collect();
        assert!(!bare.contains(" style="), "{path}: <{tag}>");
        assert!(!bare.contains(" on"), "{path}: a handler in <{tag}>");
        assert!(!matches!(name, "style" | "iframe" | "object" | "base"), "{path}: <{tag}>");
        if name == "script" {
            assert!(tag.contains(" src=\"/admin/assets/") && tag.contains(" nonce="), "{tag}");
        }
        let field = matches!(name, "input" | "select" | "textarea");
        if field && !tag.contains("type=\"hidden\"") && !tag.contains("aria-label=") {
            let labelled = between(tag, " id=\"", "\"")
                .is_some_and(|id| text.contains(&format!("<label for=\"{id}\"")));
            let inside = tag.contains("type=\"checkbox\"");
            let hidden = between(tag, " id=\"", "\"")
                .is_some_and(|id| text.contains(&format!("for=\"{id}\"")));
            assert!(labelled || inside || hidden, "{path}: <{tag}> has no label");
        }
    }
    let empty = text
        .split("<script")
        .skip(1)
        .all(|s| s.split_once('>').unwrap().1.starts_with("</script>"));
    assert!(empty, "{path}: a script within the page");
}

fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
}

#[tokio::test]
async fn nothing_that_is_stored_becomes_markup() {
    let world = World::new().await;
    let first = EVIL;
    let rows = filled(&world, first, "u-2").await;
    let pool = world.queue.pool();
    // What HubSpot answers reaches these columns.
    sqlx::query(
        "UPDATE sync_queue SET error_message = $1, error_code = $1, error_property = $1, error_hint = $1,
                error_correlation_id = $1 WHERE status = 'failed'",
    )
    .bind(EVIL)
    .execute(pool)
    .await
    .unwrap();
    for statement in [
        "UPDATE attempt SET message = $1, code = $1, hint = $1, correlation_id = $1, class = $1",
        "UPDATE hubspot_call SET message = $1, correlation_id = $1, purpose = $1, class = $1",
        "UPDATE crm_record SET waiting_reason = $1 WHERE waiting_reason IS NOT NULL",
        "UPDATE audit SET actor = $1, action = $1, target = $1, details = jsonb_build_object($1, $1)",
        "UPDATE sync_queue SET warnings = jsonb_build_array(jsonb_build_object('property', $1, 'message', $1))",
        "UPDATE crm_portal SET time_zone = $1",
    ] {
        sqlx::query(statement).bind(EVIL).execute(pool).await.unwrap();
    }
    let browser = Browser::admin(&world).await;
    browser.submit("/admin/pause", &[("reason", EVIL)]).await;
    browser.submit("/admin/keys", &[("name", EVIL), ("role", "viewer")]).await;
    let mut paths = everywhere(Role::Admin, &rows, &[]);
    let encoded = reqwest::Url::parse_with_params("http://x", [("q", EVIL)]).unwrap();
    paths.push(format!("/admin/queue?{}", encoded.query().unwrap()));
    paths.push(format!("/admin/audit?{}", encoded.query().unwrap().replace("q=", "actor=")));
    let mut told = 0;
    for path in &paths {
        let page = browser.get(path).await.ok();
        whole(path, &page.text);
        for evil in ["<script>alert", "<img src=x", "<i>"] {
            assert!(!page.text.contains(evil), "{path} holds {evil}");
        }
        told += usize::from(page.text.contains("&#60;script&#62;alert(1)"));
    }
    assert!(told >= 9, "the text itself is shown on {told} pages");

    // The record's page under its own address, as the list links it.
    let list = browser.get("/admin/records?sync_type=contact&state=linked").await.ok();
    let path = between(&list.text, "<a href=\"/admin/records/contact/%3C", "\"").unwrap();
    let page = browser.get(&format!("/admin/records/contact/%3C{path}")).await.ok();
    whole(path, &page.text);
    assert!(!page.text.contains("<script>alert"));
    let fields = [("all", "yes"), ("status", "failed")];
    let preview = browser.submit("/admin/queue/retry", &fields).await.ok();
    whole("preview", &preview.text);
    assert!(!preview.text.contains("<script>alert"));
}

#[tokio::test]
async fn filters_search_and_pages_are_in_the_address() {
    let world = World::new().await;
    let events: Vec<_> = (0..120)
        .map(|n| {
            let data = json!({ "email": format!("u{n}@example.com") });
            user(&format!("e-{n}"), &format!("u-{n}"), "2026-01-01T10:00:00Z", data)
        })
        .collect();
    world.accept(&json!(events)).await;
    let browser = Browser::admin(&world).await;
    let first = browser.get("/admin/queue?sync_type=contact&status=pending").await.ok();
    assert!(first.words().contains("120 rows match"), "{}", first.words());
    assert!(first.text.contains("<option selected>contact</option>"));
    assert_eq!(first.text.matches("aria-label=\"Select row").count(), 0, "only failed rows");
    let shown = |page: &super::Seen| page.text.matches("<tr>").count() - 1;
    assert_eq!(shown(&first), 50);
    let older = between(&first.text, "rel=\"next\" href=\"", "\"").unwrap().replace("&#38;", "&");
    assert!(older.contains("status=pending") && older.contains("cursor=o"), "{older}");
    let second = browser.get(&older).await.ok();
    let newer = between(&second.text, "rel=\"prev\" href=\"", "\"").unwrap().replace("&#38;", "&");
    let back = browser.get(&newer).await.ok();
    let ids = |page: &super::Seen| -> Vec<String> {
        let links = page.text.split("<th scope=\"row\" data-label=\"Row\"><a href=\"").skip(1);
        links.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
    };
    assert_eq!(ids(&back), ids(&first));
    let last = between(&second.text, "rel=\"next\" href=\"", "\"").unwrap().replace("&#38;", "&");
    let third = browser.get(&last).await.ok();
    assert_eq!(shown(&third), 20);
    assert!(between(&third.text, "rel=\"next\" href=\"", "\"").is_none());

    for (query, count) in [
        ("external_id=u-7", "1 row matches"),
        ("q=u-7", "1 row matches"),
        ("q=e-7", "1 row matches"),
        ("q=U7%40Example.com", "1 row matches"),
        ("priority=high", "0 rows match"),
        ("event_type=user.updated", "120 rows match"),
        ("since=2020-01-01T00:00", "120 rows match"),
        ("until=2020-01-01T00:00", "0 rows match"),
        ("status=&sync_type=&q=", "120 rows in all"),
    ] {
        let page = browser.get(&format!("/admin/queue?{query}")).await.ok();
        assert!(page.words().contains(count), "{query}: {}", page.words());
    }
}

#[tokio::test]
async fn the_overview_tells_counts_gates_budget_errors_and_what_ended() {
    let world = World::new().await;
    let rows = filled(&world, "u-1", "u-2").await;
    let browser = Browser::admin(&world).await;
    let page = browser.get("/admin").await.ok();
    let words = page.words();
    for told in [
        "1 synced, 1 failures",
        "CONFLICT",
        "Associations waiting 1",
        "This window",
        "Today",
        "The gate is open",
        "No leases",
    ] {
        assert!(words.contains(told), "{told}: {words}");
    }
    assert!(
        page.text.contains("/admin/queue?sync_type=contact&#38;status=failed"),
        "{}",
        page.text
    );
    assert!(page.text.contains("<meter") && page.text.contains("<svg class=\"chart\""));

    let row = browser.get(&format!("/admin/queue/{}", rows[2])).await.ok().words();
    assert!(row.contains("Why is it waiting?") && row.contains("dealname"), "{row}");
    let row = browser.get(&format!("/admin/queue/{}", rows[0])).await.ok().words();
    assert!(row.contains("Accepted") && row.contains("Synced") && row.contains("email"), "{row}");
    let contact = browser.get("/admin/records/contact/u-1").await.ok().words();
    assert!(contact.contains("business company b-77 parked"), "{contact}");
    let deal = browser.get("/admin/records/deal/m-1").await.ok().words();
    assert!(deal.contains("waiting") && deal.contains("Next call create"), "{deal}");

    browser.submit("/admin/pause", &[("reason", "a test")]).await;
    world.advance(TimeDelta::minutes(5));
    let words = browser.get("/admin").await.ok().words();
    assert!(words.contains("Sending is paused : a test"), "{words}");
    assert!(words.contains("Resume sending") && words.contains("stays closed until"), "{words}");
}

#[tokio::test]
async fn without_a_database_the_page_says_so() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    world.queue.pool().close().await;
    let page = browser.get("/admin/queue").await;
    assert_eq!((page.status, page.header("retry-after")), (503, "5"));
    assert!(page.words().contains("The database is not available"), "{}", page.text);
    whole("503", &page.text);
}
