//! The accessibility checker on every page: in light and dark, on a desktop and a phone.

use hubferry::access::Role;

use super::{deals_in_pounds, fits, sign_in};
use crate::http::dashboard::{everywhere, filled};
use crate::support::World;
use crate::support::browser::{Screen, Tab, visit};

/// What is wrong with the page that is open, on all screens and in all schemes.
async fn check(tab: &Tab, page: &str, found: &mut Vec<String>) {
    for screen in super::BOTH {
        tab.show_on(screen).await;
        if screen == Screen::Phone {
            fits(tab).await;
        }
        for scheme in ["light", "dark"] {
            tab.prefer(scheme).await;
            for line in tab.barriers().await {
                found.push(format!("{page}, {screen:?}, {scheme}: {line}"));
            }
        }
    }
    tab.show_on(Screen::Desktop).await;
    tab.prefer("light").await;
}

#[tokio::test]
async fn no_page_has_a_serious_barrier() {
    let world = World::new().await;
    let rows = filled(&world, "u-1", "u-2").await;
    let failed = rows[1].clone();
    deals_in_pounds(&world, 2).await;
    visit(&world, Screen::Desktop, async |tab| {
        let mut found = Vec::new();
        tab.open_path("/admin/sign-in").await;
        check(tab, "sign-in", &mut found).await;
        sign_in(tab).await;
        for path in everywhere(Role::Admin, &rows, &["contact/u-1"]) {
            tab.open_path(&path).await;
            check(tab, &path, &mut found).await;
        }
        tab.open_path("/admin/errors").await;
        tab.follow("button", "Retry this group… CONFLICT").await;
        check(tab, "retry preview", &mut found).await;
        tab.open_path(&format!("/admin/queue/{failed}")).await;
        tab.follow("button", "Discard…").await;
        check(tab, "discard preview", &mut found).await;
        tab.open_path("/admin/queue/999").await;
        tab.expect_fault("404").await;
        check(tab, "no such row", &mut found).await;
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    })
    .await;
}
