//! What people do beside the single row: a group, the gate, settings, search, personal data.

use hubferry::access::Role;

use super::{add_pounds_in_hubspot, deals_in_pounds, sign_in, sign_in_at};
use crate::http::api::make_key;
use crate::http::dashboard::{everywhere, filled};
use crate::support::World;
use crate::support::browser::{Screen, visit};

#[tokio::test]
async fn a_group_is_retried_after_its_preview_and_only_then() {
    let world = World::new().await;
    let rows = deals_in_pounds(&world, 3).await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in(tab).await;
        tab.follow("link", "All errors and how to fix them").await;
        tab.sees("3 rows of 3 records").await;
        tab.follow("button", "Retry this group… INVALID_OPTION").await;
        tab.find("heading", "Retry 3 rows?").await;
        tab.sees("What a retry would send for deal m-1").await;
        tab.sees("deal_currency_code").await;
        tab.follow("link", "Cancel").await;
        tab.find("heading", "Queue").await;
        assert_eq!(world.row(&rows[0]).await["status"], "failed", "nothing was done");

        add_pounds_in_hubspot(&world).await;
        tab.click("checkbox", "All 3 failed rows that match").await;
        tab.sees("All matching rows are selected").await;
        tab.follow("button", "Retry…").await;
        tab.follow("button", "Retry 3 rows").await;
        tab.sees("3 rows retried").await;
        world.drain().await;
        tab.until(
            "three synced rows",
            "document.querySelectorAll('#found .badge.good').length === 3",
        )
        .await;
        for row in &rows {
            assert_eq!(world.row(row).await["status"], "synced");
        }
    })
    .await;
}

#[tokio::test]
async fn picked_rows_are_discarded_with_a_word_of_warning() {
    let world = World::new().await;
    let rows = deals_in_pounds(&world, 3).await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in_at(tab, "/admin/queue?status=failed", crate::support::ADMIN_KEY).await;
        tab.click("checkbox", "This page").await;
        tab.sees("3 selected").await;
        tab.click("checkbox", &format!("Select row {}", rows[0])).await;
        tab.sees("2 selected").await;
        tab.follow("button", "Discard…").await;
        tab.sees("HubSpot does not get the values of these rows").await;
        tab.sees("What a retry would send for deal m-").await;
        tab.follow("button", "Discard 2 rows").await;
        tab.sees("2 rows discarded").await;
        // Just these are shown, and none can be picked any more.
        tab.sees("2 rows match").await;
        let left = tab.names("checkbox").await;
        assert!(!left.iter().any(|name| name.starts_with("Select row")), "{left:?}");
        tab.follow("link", &rows[2]).await;
        tab.follow("button", "Put back and retry").await;
        tab.sees("The row is retried").await;
    })
    .await;
}

#[tokio::test]
async fn sending_is_paused_with_a_reason_that_everybody_sees_and_resumed() {
    let world = World::new().await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in(tab).await;
        tab.sees("The gate is open.").await;
        tab.fill("textbox", "Reason for the pause", "the importer runs").await;
        tab.follow("button", "Pause sending to HubSpot").await;
        tab.sees("Sending is paused: the importer runs").await;
        tab.sees("stays closed until it is resumed").await;
        let row = deals_waiting(&world).await;
        tab.open_path(&format!("/admin/queue/{row}")).await;
        let why = tab.find("region", "Why is it waiting?").await;
        let why = tab.text(&why).await;
        assert!(why.contains("the importer runs"), "{why}");
        tab.follow("link", "Overview").await;
        tab.follow("button", "Resume sending").await;
        tab.sees("The gate is open.").await;
        assert_eq!(world.get("/status").await["gate"]["state"], "open");
    })
    .await;
}

async fn deals_waiting(world: &World) -> String {
    let answer = world.accept(&crate::http::api::bad_deal("d-1", "m-1")).await;
    world.drain().await;
    crate::support::row_id(&answer, 0)
}

#[tokio::test]
async fn a_setting_is_refused_with_the_reason_then_changed_and_names_who_did_it() {
    let world = World::new().await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in(tab).await;
        tab.follow("link", "Settings").await;
        tab.fill("textbox", "retry.max_retries", "many").await;
        tab.follow("button", "Save settings").await;
        tab.expect_fault("422").await;
        tab.sees("Nothing was saved").await;
        let field = tab.find("textbox", "retry.max_retries").await;
        let told = tab
            .ask(
                &field,
                "function () { return this.getAttribute('aria-invalid') + ': ' + this.getAttribute('aria-describedby')
                     .split(' ').map(id => document.getElementById(id).innerText).join(' '); }",
            )
            .await
            .unwrap();
        let told = told.as_str().unwrap();
        assert!(told.starts_with("true:") && told.contains("must be a whole number"), "{told}");
        assert_eq!(tab.value("textbox", "retry.max_retries").await, "many");

        tab.fill("textbox", "retry.max_retries", "5").await;
        tab.choose("worker.enabled", "false").await;
        tab.follow("button", "Save settings").await;
        tab.sees("Saved. The settings are in force.").await;
        tab.sees("by admin key").await;
        assert_eq!(tab.value("textbox", "retry.max_retries").await, "5");
        tab.follow("button", "Reset worker.enabled").await;
        tab.sees("Saved.").await;
        assert_eq!(tab.value("combobox", "worker.enabled").await, "true");
        tab.follow("link", "Audit").await;
        tab.sees("retry.max_retries").await;
    })
    .await;
}

#[tokio::test]
async fn a_person_is_searched_by_address_and_revealing_what_was_sent_is_noted() {
    let world = World::new().await;
    let [synced, failed, _] = filled(&world, "u-1", "u-2").await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in(tab).await;
        tab.follow("link", "Queue").await;
        tab.sees("3 rows in all").await;
        tab.fill("searchbox", "Search", "Marie@Company.fr").await;
        tab.click("button", "Filter").await;
        tab.sees("2 rows match").await;
        assert!(tab.has("link", &failed).await && tab.has("link", &synced).await);
        tab.follow("link", &synced).await;
        let hidden = tab.find("region", "Payload").await;
        let hidden = tab.text(&hidden).await;
        assert!(hidden.contains("hidden, 16 characters"), "{hidden}");
        assert!(!tab.words().await.contains("marie@company.fr"));
        tab.follow("button", "Reveal personal data").await;
        tab.sees("marie@company.fr").await;
        tab.sees("The audit has an entry for it").await;
        tab.follow("link", "Audit").await;
        tab.sees(&format!("reveal row {synced}")).await;
        assert!(!tab.words().await.contains("marie@company.fr"));
    })
    .await;
}

#[tokio::test]
async fn a_viewer_looks_at_everything_and_finds_nothing_to_press() {
    let world = World::new().await;
    let rows = filled(&world, "u-1", "u-2").await;
    let failed = rows[1].clone();
    let (_, key) = make_key(&world, Role::Viewer.as_str(), None).await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in_at(tab, &format!("/admin/queue/{failed}"), &key).await;
        tab.find("heading", "Why has it failed?").await;
        tab.sees("An operator can reveal them.").await;
        // What anybody may press: the look of the page, and the way out.
        let own = ["Auto", "Light", "Dark", "Sign out", "Filter", "Freeze this page"];
        for path in everywhere(Role::Viewer, &rows, &["contact/u-1"]) {
            tab.open_path(&path).await;
            let all = tab.names("button").await;
            // A field for a time has a button of the browser's own.
            let is_picker = |name: &str| name.starts_with("Show local date and time picker");
            let deeds: Vec<&String> =
                all.iter().filter(|n| !own.contains(&n.as_str()) && !is_picker(n)).collect();
            assert!(all.len() > 3 && deeds.is_empty(), "{path}: {deeds:?}");
            assert_eq!(tab.names("checkbox").await.len(), usize::from(path.ends_with("logs")));
        }
        assert!(tab.names("link").await.contains(&"Errors".to_owned()));
        tab.open_path("/admin/keys").await;
        tab.expect_fault("403").await;
        tab.sees("403").await;
    })
    .await;
}

#[tokio::test]
async fn the_scheme_of_colours_is_chosen_and_a_person_signs_out() {
    let world = World::new().await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in_at(tab, "/admin/queue?status=failed", crate::support::ADMIN_KEY).await;
        let ground = "getComputedStyle(document.body).backgroundColor";
        let light = tab.eval(ground).await;
        tab.follow("button", "Dark").await;
        assert_eq!(tab.place().await, "/admin/queue?status=failed");
        let dark = tab.eval(ground).await;
        assert_ne!(dark, light);
        tab.prefer("dark").await;
        tab.follow("button", "Light").await;
        assert_eq!(tab.eval(ground).await, light, "whatever the system asks for");
        tab.follow("button", "Auto").await;
        assert_eq!(tab.eval(ground).await, dark);
        tab.follow("button", "Sign out").await;
        tab.find("heading", "Sign in to hubferry").await;
        assert_eq!(tab.eval(ground).await, dark);
        tab.open_path("/admin/queue").await;
        tab.find("heading", "Sign in to hubferry").await;
        // Nothing of the pages is kept for whoever sits down next.
        tab.step_history(-1).await;
        assert!(!tab.words().await.contains("failed"), "{}", tab.words().await);
    })
    .await;
}
