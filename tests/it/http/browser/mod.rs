//! The dashboard in a real browser, as people use it: with a mouse, with a finger, by keyboard
//! alone, and with a screen reader's eyes.

mod barriers;
mod complaints;
mod deeds;
mod keyboard;
mod live;
mod place;
mod row;
mod scenery;
mod screenshots;

use serde_json::{Value, json};

use crate::http::api::bad_deal;
use crate::support::browser::{Screen, Tab};
use crate::support::{ADMIN_KEY, World, row_id};

/// Deals in pounds, which the account does not have: their rows fail. Answers their numbers.
async fn deals_in_pounds(world: &World, count: usize) -> Vec<String> {
    let deals: Vec<Value> =
        (1..=count).map(|n| bad_deal(&format!("d-{n}"), &format!("m-{n}"))).collect();
    let answer = world.accept(&json!(deals)).await;
    world.drain().await;
    let rows: Vec<String> = (0..count).map(|n| row_id(&answer, n)).collect();
    for row in &rows {
        assert_eq!(world.row(row).await["status"], "failed");
    }
    rows
}

/// What an administrator of the account does about that in HubSpot.
async fn add_pounds_in_hubspot(world: &World) {
    let url = format!("{}/crm/properties/2026-09/deals/deal_currency_code", world.hubspot_url);
    let options: Vec<Value> =
        ["EUR", "USD", "GBP"].iter().map(|c| json!({ "label": c, "value": c })).collect();
    let call = world.http.patch(url).bearer_auth("sandbox-token");
    let reply = call.json(&json!({ "options": options })).send().await.unwrap();
    assert!(reply.status().is_success(), "{}", reply.status());
}

/// Goes to a page without a session, and signs in there.
async fn sign_in_at(tab: &Tab, path: &str, key: &str) {
    tab.open_path(path).await;
    tab.find("heading", "Sign in to hubferry").await;
    tab.fill("textbox", "Key", key).await;
    tab.follow("button", "Sign in").await;
    assert_eq!(tab.place().await, path);
}

async fn sign_in(tab: &Tab) {
    sign_in_at(tab, "/admin", ADMIN_KEY).await;
}

/// On a phone no page scrolls sideways.
async fn fits(tab: &Tab) {
    assert!(tab.overflow().await <= 0, "{} is wider than the screen", tab.place().await);
}

const BOTH: [Screen; 2] = [Screen::Desktop, Screen::Phone];
