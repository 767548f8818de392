//! A whole deed by keyboard alone. At every stop it can be seen where the focus is.

use super::{add_pounds_in_hubspot, deals_in_pounds};
use crate::support::browser::{Screen, visit};
use crate::support::{ADMIN_KEY, World};

#[tokio::test]
async fn a_failed_row_is_retried_without_a_mouse() {
    let world = World::new().await;
    let rows = deals_in_pounds(&world, 2).await;
    visit(&world, Screen::Desktop, async |tab| {
        tab.open_path("/admin").await;
        let key = tab.find("textbox", "Key").await;
        assert!(tab.has_focus(&key).await, "the field is ready to be typed into");
        tab.type_text(ADMIN_KEY).await;
        tab.press_through("Enter").await;

        // The first stop is the way past the menu.
        tab.tab_to("link", "Skip to the content").await;
        tab.press("Enter").await;
        let main = tab.find("main", "").await;
        assert!(tab.has_focus(&main).await);
        tab.tab_to("link", "INVALID_OPTION").await;
        tab.press_through("Enter").await;
        tab.sees("2 rows match").await;
        tab.tab_to("link", &rows[0]).await;
        tab.press_through("Enter").await;
        tab.find("heading", "Why has it failed?").await;

        add_pounds_in_hubspot(&world).await;
        tab.tab_to("button", "Retry").await;
        tab.press_through("Space").await;
        tab.sees("The row is retried").await;
        world.drain().await;
        tab.sees(&format!("Row {} synced", rows[0])).await;
    })
    .await;
}

#[tokio::test]
async fn every_stop_of_a_page_of_rows_can_be_seen() {
    let world = World::new().await;
    let rows = deals_in_pounds(&world, 2).await;
    visit(&world, Screen::Desktop, async |tab| {
        super::sign_in_at(tab, "/admin/queue", ADMIN_KEY).await;
        // From the search to the last row's link: fields, lists, boxes, buttons, links.
        tab.tab_to("searchbox", "Search").await;
        tab.tab_to("button", "Filter").await;
        tab.tab_to("checkbox", &format!("Select row {}", rows[0])).await;
        tab.press("Space").await;
        tab.sees("1 selected").await;
        tab.tab_to("link", "m-1").await;
        tab.press_through("Enter").await;
        tab.find("heading", "deal m-1").await;
    })
    .await;
}
