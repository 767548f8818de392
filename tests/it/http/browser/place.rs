//! All state is in the address: reloading, going back and going forward show the same.

use super::{BOTH, deals_in_pounds, fits, sign_in};
use crate::support::World;
use crate::support::browser::{Screen, Tab, visit};

/// The words of the list, without the times, which go on.
async fn list(tab: &Tab) -> String {
    let words = tab
        .eval(
            "[document.getElementById('count').innerText, ...[...document.querySelectorAll('#found tbody tr')]
                .map(row => row.querySelector('th').innerText + row.querySelector('.badge').innerText)].join('|')",
        )
        .await;
    words.unwrap_or_default().as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn filters_are_in_the_address_with_a_mouse() {
    filters(Screen::Desktop).await;
}

#[tokio::test]
async fn filters_are_in_the_address_on_a_phone() {
    filters(Screen::Phone).await;
}

async fn filters(screen: Screen) {
    assert!(BOTH.contains(&screen));
    let world = World::new().await;
    deals_in_pounds(&world, 3).await;
    visit(&world, screen, async |tab| {
        sign_in(tab).await;
        tab.follow("link", "Queue").await;
        tab.sees("3 rows in all").await;
        let all = list(tab).await;
        tab.fill("searchbox", "Search", "m-2").await;
        tab.choose("Status", "failed").await;
        tab.click("button", "Filter").await;
        tab.sees("1 row matches").await;
        fits(tab).await;
        let place = tab.place().await;
        assert!(place.contains("q=m-2") && place.contains("status=failed"), "{place}");
        let found = list(tab).await;
        assert_ne!(found, all);

        tab.reload().await;
        assert_eq!((tab.place().await, list(tab).await), (place.clone(), found.clone()));
        assert_eq!(tab.value("searchbox", "Search").await, "m-2");
        assert_eq!(tab.value("combobox", "Status").await, "failed");
        tab.step_history(-1).await;
        tab.sees("3 rows in all").await;
        assert_eq!((tab.place().await, list(tab).await), ("/admin/queue".into(), all));
        assert_eq!(tab.value("searchbox", "Search").await, "");
        tab.step_history(1).await;
        tab.sees("1 row matches").await;
        assert_eq!((tab.place().await, list(tab).await), (place, found));

        tab.open_path("/admin").await;
        tab.follow("link", "24h").await;
        tab.sees("in the last 24 hours").await;
        assert_eq!(tab.place().await, "/admin?range=24h");
        tab.reload().await;
        tab.sees("in the last 24 hours").await;
        tab.step_history(-1).await;
        tab.sees("in the last hour").await;
    })
    .await;
}
