//! A failed row: found, understood, mended, retried. With a mouse and with a finger.

use super::{BOTH, add_pounds_in_hubspot, deals_in_pounds, fits};
use crate::support::browser::{Screen, visit};
use crate::support::{ADMIN_KEY, World};

#[tokio::test]
async fn a_failed_row_is_found_understood_mended_and_retried_with_a_mouse() {
    one_row(Screen::Desktop).await;
}

#[tokio::test]
async fn a_failed_row_is_found_understood_mended_and_retried_on_a_phone() {
    one_row(Screen::Phone).await;
}

async fn one_row(screen: Screen) {
    assert!(BOTH.contains(&screen));
    let world = World::new().await;
    let rows = deals_in_pounds(&world, 3).await;
    visit(&world, screen, async |tab| {
        tab.open_path("/admin").await;
        assert_eq!(tab.place().await, "/admin/sign-in");
        tab.fill("textbox", "Key", "not a key").await;
        tab.follow("button", "Sign in").await;
        let told = tab.find("alert", "").await;
        assert!(tab.text(&told).await.contains("does not open the dashboard"));
        tab.expect_fault("401").await;
        fits(tab).await;
        tab.fill("textbox", "Key", ADMIN_KEY).await;
        tab.follow("button", "Sign in").await;

        tab.find("heading", "Overview").await;
        fits(tab).await;
        tab.follow("link", "INVALID_OPTION").await;
        tab.find("heading", "Queue").await;
        fits(tab).await;
        tab.sees("3 rows match").await;
        tab.follow("link", &rows[1]).await;
        tab.find("heading", &format!("Row {}", rows[1])).await;
        fits(tab).await;
        tab.find("heading", "Why has it failed?").await;
        tab.sees("deal_currency_code").await;
        let words = tab.words().await;
        assert!(
            words.contains("INVALID_OPTION")
                && words.contains("was not one of the allowed options"),
            "{words}"
        );

        add_pounds_in_hubspot(&world).await;
        tab.follow("button", "Retry").await;
        tab.sees("The row is retried").await;
        fits(tab).await;
        assert_eq!(world.drain().await, 1);
        // The page looks again by itself.
        tab.sees_no("Why has it failed?").await;
        tab.sees("Row 2 synced").await;
        tab.sees("What HubSpot accepted from this row Property").await;
        assert_eq!(world.row(&rows[1]).await["status"], "synced");
        assert_eq!(world.row(&rows[0]).await["status"], "failed", "only the one");

        tab.follow("link", "Errors").await;
        tab.sees("2 rows of 2 records").await;
        fits(tab).await;
    })
    .await;
}
