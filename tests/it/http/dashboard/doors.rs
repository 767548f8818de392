//! Who comes in, how far, and what a form must carry.

use chrono::TimeDelta;
use hubferry::access::Role;
use hubferry::http::pages::PAGES;

use super::{Browser, everywhere, filled};
use crate::support::{ADMIN_KEY, INGEST_KEY, World};

#[tokio::test]
async fn nobody_sees_a_page_before_the_sign_in_and_is_led_back_after_it() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    for (path, way) in [
        ("/admin", "/admin/sign-in"),
        ("/admin/queue?status=failed", "/admin/sign-in?next=%2Fadmin%2Fqueue%3Fstatus%3Dfailed"),
        ("/admin/nowhere", "/admin/sign-in?next=%2Fadmin%2Fnowhere"),
    ] {
        let seen = browser.get(path).await;
        assert_eq!((seen.status, seen.header("location")), (303, way), "{path}");
    }
    let page = browser.get("/admin/sign-in?next=/admin/queue%3Fstatus%3Dfailed").await.ok();
    assert!(page.text.contains("value=\"/admin/queue?status=failed\""), "{}", page.text);

    let fields = [("key", ADMIN_KEY), ("next", "/admin/queue?status=failed")];
    let seen = browser.post("/admin/sign-in", &fields).await;
    assert_eq!((seen.status, seen.header("location")), (303, "/admin/queue?status=failed"));
    let cookie = seen.header("set-cookie");
    for part in ["hubferry_session=", "HttpOnly", "SameSite=Strict", "Path=/admin", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    browser.get("/admin").await.ok();
    assert_eq!(browser.get("/admin/nowhere").await.status, 404);

    let form = browser.form("/admin/sign-in", &fields).header("x-forwarded-proto", "https");
    assert!(browser.send(form).await.header("set-cookie").contains("; Secure"));
    let elsewhere = [("key", ADMIN_KEY), ("next", "https://evil.example/")];
    assert_eq!(browser.post("/admin/sign-in", &elsewhere).await.header("location"), "/admin");
}

#[tokio::test]
async fn a_wrong_key_is_told_so_and_guessing_is_slowed_down() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    for key in ["", "wrong", INGEST_KEY] {
        let seen = browser.post("/admin/sign-in", &[("key", key)]).await;
        assert_eq!(seen.status, 401);
        assert!(seen.text.contains("does not open the dashboard"), "{}", seen.text);
        assert!(!seen.text.contains(INGEST_KEY) && seen.header("set-cookie").is_empty());
    }
    let mut last = browser.post("/admin/sign-in", &[("key", "wrong")]).await;
    for _ in 0..30 {
        if last.status == 429 {
            break;
        }
        assert_eq!(last.status, 401);
        last = browser.post("/admin/sign-in", &[("key", "wrong")]).await;
    }
    assert_eq!(last.status, 429);
    assert!(last.text.contains("Too many wrong keys. Try again in"), "{}", last.text);
    // Each further guess makes the next one wait longer.
    let mut waits = vec![last.header("retry-after").parse::<i64>().unwrap()];
    while waits.len() < 12 && *waits.last().unwrap() < 300 {
        world.advance(TimeDelta::seconds(*waits.last().unwrap()));
        assert_eq!(browser.post("/admin/sign-in", &[("key", "wrong")]).await.status, 401);
        let refused = browser.post("/admin/sign-in", &[("key", "wrong")]).await;
        assert_eq!(refused.status, 429);
        waits.push(refused.header("retry-after").parse().unwrap());
    }
    assert!(waits.is_sorted() && waits[0] > 0 && *waits.last().unwrap() >= 250, "{waits:?}");
    let right = browser.post("/admin/sign-in", &[("key", ADMIN_KEY)]).await;
    assert_eq!(right.status, 429, "a key that might be guessed is no way around the brake");

    // Nobody guesses a made key, so a stranger's guesses keep its owner out of nothing.
    let body = serde_json::json!({ "name": "night shift", "role": "viewer" });
    let (_, made) = world.admin("POST", "/keys", Some(body)).await;
    let own = browser.post("/admin/sign-in", &[("key", made["key"].as_str().unwrap())]).await;
    assert_eq!(own.status, 303, "{}", own.text);
}

#[tokio::test]
async fn a_key_has_fifty_sessions_and_a_further_one_ends_the_oldest() {
    let world = World::new().await;
    let (first, second) = (Browser::admin(&world).await, Browser::admin(&world).await);
    for _ in 0..48 {
        Browser::admin(&world).await;
    }
    assert_eq!(first.get("/admin/keys").await.status, 200);
    Browser::admin(&world).await;
    assert_eq!(first.get("/admin/keys").await.status, 303);
    assert_eq!(second.get("/admin/keys").await.status, 200);
}

#[tokio::test]
async fn a_session_ends_by_time_by_signing_out_and_is_not_forged() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let cookie = browser.cookies.borrow()["hubferry_session"].clone();

    let forged = Browser::new(&world);
    let mut other = cookie.clone();
    let last = if other.pop() == Some('A') { 'B' } else { 'A' };
    other.push(last);
    for value in [other.as_str(), "", ".", "x.y", &cookie[..20]] {
        forged.cookies.borrow_mut().insert("hubferry_session".into(), value.into());
        assert_eq!(forged.get("/admin").await.status, 303, "{value}");
    }

    let seen = browser.submit("/admin/sign-out", &[]).await;
    assert_eq!((seen.status, seen.header("location")), (303, "/admin/sign-in"));
    browser.cookies.borrow_mut().insert("hubferry_session".into(), cookie);
    assert_eq!(browser.get("/admin").await.status, 303, "the old cookie opens nothing");

    let browser = Browser::admin(&world).await;
    browser.get("/admin").await.ok();
    world.advance(TimeDelta::hours(13));
    assert_eq!(browser.get("/admin").await.status, 303);
    let part = browser.get_with("/admin", "hx-request", "true").await;
    assert_eq!((part.status, part.header("hx-redirect")), (401, "/admin/sign-in"));
}

/// A cookie that somebody has put there before the sign-in is not what opens the door after it.
#[tokio::test]
async fn signing_in_makes_a_session_of_its_own() {
    let world = World::new().await;
    let own = Browser::admin(&world).await;
    let planted = own.cookies.borrow()["hubferry_session"].clone();
    let token = own.token().await;
    own.submit("/admin/sign-out", &[]).await;

    let victim = Browser::new(&world);
    victim.cookies.borrow_mut().insert("hubferry_session".into(), planted.clone());
    let seen = victim.post("/admin/sign-in", &[("key", ADMIN_KEY)]).await;
    assert_eq!(seen.status, 303);
    assert_ne!(victim.cookies.borrow()["hubferry_session"], planted);
    assert_ne!(victim.token().await, token, "nor is the token of its forms");
    own.cookies.borrow_mut().insert("hubferry_session".into(), planted);
    assert_eq!(own.get("/admin").await.status, 303, "the planted cookie opens nothing");

    // Signing in once more, as somebody else, does not go on with the session that was there.
    let first = victim.cookies.borrow()["hubferry_session"].clone();
    victim.post("/admin/sign-in", &[("key", ADMIN_KEY)]).await;
    assert_ne!(victim.cookies.borrow()["hubferry_session"], first);
}

#[tokio::test]
async fn a_form_without_the_sessions_token_does_nothing() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let other = Browser::admin(&world).await;
    let foreign = other.token().await;
    for fields in [vec![], vec![("csrf", "")], vec![("csrf", "wrong")], vec![("csrf", &*foreign)]] {
        let seen = browser.post("/admin/pause", &fields).await;
        assert_eq!(seen.status, 403, "{fields:?}");
        assert!(seen.words().contains("not from this session"), "{}", seen.text);
    }
    let token = browser.token().await;
    let form = browser.form("/admin/pause", &[("csrf", &token)]);
    let seen = browser.send(form.header("sec-fetch-site", "cross-site")).await;
    assert_eq!(seen.status, 403, "another site's form, whatever it carries");
    assert_eq!(world.get("/status").await["gate"]["state"], "open");

    let form = browser.form("/admin/pause", &[]).header("x-csrf-token", token);
    assert_eq!(browser.send(form).await.status, 303);
    assert_eq!(world.get("/status").await["gate"]["state"], "paused");
}

#[tokio::test]
async fn each_role_sees_and_does_what_it_may() {
    let world = World::new().await;
    let rows = filled(&world, "u-1", "u-2").await;
    let failed = format!("/admin/queue/{}", rows[1]);
    let viewer = Browser::with_role(&world, Role::Viewer).await;
    for path in everywhere(Role::Viewer, &rows, &["contact/u-1"]) {
        let page = viewer.get(&path).await.ok();
        for button in page.text.split("<button").skip(1) {
            let text = super::between(button, ">", "<").unwrap();
            let his = ["Light", "Dark", "Auto", "Sign out", "Filter", "Freeze this page"];
            assert!(his.contains(&text), "{path} shows {text}");
        }
        assert!(!page.text.contains("/admin/keys"), "{path}");
    }
    let deeds = [
        format!("{failed}/retry"),
        format!("{failed}/confirm"),
        format!("{failed}/reveal"),
        "/admin/queue/retry".into(),
        "/admin/queue/discard".into(),
        "/admin/records/contact/u-1/reveal".into(),
        "/admin/records/contact/u-1/resync".into(),
        "/admin/records/contact/u-1/allow".into(),
        "/admin/pause".into(),
        "/admin/resume".into(),
    ];
    for path in &deeds {
        let seen = viewer.submit(path, &[("all", "yes"), ("confirm", "yes")]).await;
        assert_eq!(seen.status, 403, "{path}");
        assert!(seen.words().contains("needs the role operator"), "{}", seen.text);
    }
    assert_eq!(world.row(&rows[1]).await["status"], "failed");

    let operator = Browser::with_role(&world, Role::Operator).await;
    let page = operator.get(&failed).await.ok();
    for word in [">Retry<", ">Discard…<", ">Reveal personal data<"] {
        assert!(page.text.contains(word), "{word}");
    }
    let page = operator.get(&format!("/admin/queue/{}", rows[0])).await.ok();
    assert!(page.text.contains(">Resync the record<"), "of what is in HubSpot");
    for path in ["/admin/keys/1/revoke", "/admin/keys", "/admin/settings"] {
        assert_eq!(operator.submit(path, &[("name", "x"), ("role", "admin")]).await.status, 403);
    }
    // A page that a role may not see says so.
    for (role, browser) in [(Role::Viewer, &viewer), (Role::Operator, &operator)] {
        for page in PAGES.iter().filter(|page| !role.may(page.role)) {
            assert_eq!(browser.get(page.examples[0]).await.status, 403, "{page:?}");
        }
    }
    assert_eq!(operator.get("/admin/keys").await.status, 403);
    assert!(!operator.get("/admin").await.text.contains("/admin/keys"));
    Browser::admin(&world).await.get("/admin/keys").await.ok();
}

#[tokio::test]
async fn the_api_beside_it_still_answers_as_an_api() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    let seen = browser.get("/admin/sync/nowhere").await;
    assert_eq!((seen.status, seen.header("content-type")), (404, "application/problem+json"));
    assert_eq!(browser.get("/admin/sync/status").await.status, 401, "a session is no key");
    assert_eq!(browser.get("/admin/pause").await.status, 405);
}
