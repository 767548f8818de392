//! What moves by itself: the tail of the log, the overview.

use serde_json::json;

use super::{sign_in, sign_in_at};
use crate::support::browser::{Screen, visit};
use crate::support::{ADMIN_KEY, World, user};

async fn one_more(world: &World, n: u32) {
    let data = json!({ "email": format!("u{n}@example.com") });
    let event = user(&format!("e-{n}"), &format!("u-{n}"), "2026-01-01T10:00:00Z", data);
    world.accept(&event).await;
    world.drain().await;
}

const LINES: &str = "document.querySelectorAll('#log-lines tr').length";

#[tokio::test]
async fn the_tail_shows_each_new_line_and_holds_still_while_it_is_frozen() {
    let world = World::new().await;
    one_more(&world, 1).await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in_at(tab, "/admin/logs", ADMIN_KEY).await;
        tab.until(
            "the tail is connected",
            "document.getElementById('live-state').innerText === 'Live'",
        )
        .await;
        let before = tab.eval(LINES).await.unwrap().as_i64().unwrap();
        assert!(before > 0);
        one_more(&world, 2).await;
        tab.until("a new line", &format!("{LINES} > {before}")).await;
        tab.sees("1 input").await;

        let shown = tab.eval(LINES).await.unwrap().as_i64().unwrap();
        tab.click("button", "Freeze this page").await;
        one_more(&world, 3).await;
        tab.sees("Frozen, 1 new").await;
        assert_eq!(tab.eval(LINES).await.unwrap(), shown);
        tab.click("button", "Freeze this page").await;
        tab.until("what came meanwhile", &format!("{LINES} > {shown}")).await;
        let held = tab.eval(LINES).await.unwrap().as_i64().unwrap();
        one_more(&world, 4).await;
        tab.until("it is live again", &format!("{LINES} > {held}")).await;

        // A tail that begins before the page ended tells lines again: each stays one row.
        tab.eval(
            "const panel = document.getElementById('log-panel');
             panel.setAttribute('sse-connect', '/admin/logs/stream?after=n0-0');
             panel.outerHTML = panel.outerHTML;
             htmx.process(document.body)",
        )
        .await
        .unwrap();
        let shown = tab.eval(LINES).await.unwrap().as_i64().unwrap();
        one_more(&world, 5).await;
        tab.until("a new line", &format!("{LINES} > {shown}")).await;
        let unique =
            "new Set([...document.querySelectorAll('#log-lines tr')].map(row => row.id)).size";
        assert_eq!(tab.eval(unique).await.unwrap(), tab.eval(LINES).await.unwrap());

        // Filtered, it shows nothing of what goes well.
        tab.click("checkbox", "Only failures").await;
        tab.follow("button", "Filter").await;
        assert_eq!(tab.place().await, "/admin/logs?kind=&sync_type=&class=&failures=yes");
        tab.sees("Nothing has been logged yet").await;
    })
    .await;
}

#[tokio::test]
async fn the_overview_goes_on_by_itself_after_a_freeze() {
    let world = World::new().await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in(tab).await;
        tab.click("button", "Freeze this page").await;
        tab.sees("Frozen").await;
        one_more(&world, 1).await;
        let synced = "[...document.querySelectorAll('.tile')].some(t => t.innerText.replace(/\\s+/g, ' ').trim() === 'synced 1')";
        tab.click("button", "Freeze this page").await;
        tab.until("one is synced", synced).await;
    })
    .await;
}
