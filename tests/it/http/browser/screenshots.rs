//! The pictures of the documentation: drawn with `HUBFERRY_SCREENSHOTS` set, else only checked.

use std::path::PathBuf;

use hubferry::portals::Limits;

use super::scenery::paint;
use super::sign_in;
use crate::support::browser::{Screen, Tab, visit};
use crate::support::{Setup, World};

/// The largest picture, in bytes: they are part of every clone.
const LARGEST: usize = 150_000;

const PICTURES: [&str; 13] = [
    "overview",
    "overview-dark",
    "queue",
    "row",
    "record",
    "errors",
    "retry-preview",
    "logs",
    "audit",
    "settings",
    "keys",
    "phone-queue",
    "phone-row",
];

fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    folder.join(format!("{name}.png"))
}

async fn draw(tab: &Tab, name: &str) {
    assert!(PICTURES.contains(&name), "{name} is not in the list");
    // A ring around whatever had the focus would only distract.
    tab.eval("document.activeElement.blur(), scrollTo(0, 0), true").await.expect("a page");
    std::fs::write(file(name), tab.picture().await).expect("a file");
}

#[tokio::test]
async fn the_pictures_of_the_documentation_are_whole_and_small() {
    if std::env::var_os("HUBFERRY_SCREENSHOTS").is_some_and(|value| !value.is_empty()) {
        draw_all().await;
    }
    for name in PICTURES {
        let picture = std::fs::read(file(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(picture.starts_with(b"\x89PNG"), "{name} is no picture");
        let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        let size = if name.starts_with("phone") { (390, 844) } else { (1280, 800) };
        assert_eq!((side(16), side(20)), size, "{name}");
        assert!(picture.len() <= LARGEST, "{name} has {} bytes", picture.len());
    }
}

async fn draw_all() {
    let limits = Limits { per_window: 100, per_day: 250_000, grows: false };
    let world = World::with(Setup { limits, ..Setup::default() }).await;
    let scenery = paint(&world).await;
    let row = format!("/admin/queue/{}", scenery.failed);
    visit(&world, Screen::Desktop, async |tab| {
        sign_in(tab).await;
        draw(tab, "overview").await;
        tab.prefer("dark").await;
        draw(tab, "overview-dark").await;
        tab.prefer("light").await;
        for (path, name) in [
            ("/admin/queue", "queue"),
            (row.as_str(), "row"),
            ("/admin/records/contact/u-1003", "record"),
            ("/admin/errors", "errors"),
            ("/admin/audit", "audit"),
            ("/admin/settings", "settings"),
            ("/admin/keys", "keys"),
        ] {
            tab.open_path(path).await;
            draw(tab, name).await;
        }
        tab.open_path("/admin/logs").await;
        tab.sees("Live").await;
        draw(tab, "logs").await;
        tab.open_path("/admin/errors").await;
        tab.follow("button", "Retry this group… INVALID_OPTION").await;
        draw(tab, "retry-preview").await;
        tab.show_on(Screen::Phone).await;
        for (path, name) in [("/admin/queue?status=failed", "phone-queue"), (&row, "phone-row")] {
            tab.open_path(path).await;
            draw(tab, name).await;
        }
    })
    .await;
}
