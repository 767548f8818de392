//! Files, colours and the colour scheme.

use std::collections::BTreeMap;

use super::{Browser, between};
use crate::support::World;

const STYLE: &str = include_str!("../../../../assets/hubferry.css");

#[tokio::test]
async fn files_are_kept_for_good_under_the_address_that_pages_name() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let page = browser.get("/admin/sign-in").await.ok();
    let style = between(&page.text, "rel=\"stylesheet\" href=\"", "\"").unwrap();
    let file = browser.get(style).await.ok();
    assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(file.header("content-type").starts_with("text/css") && file.text == STYLE);
    let tag = file.header("etag").to_owned();
    assert_eq!(browser.get_with(style, "if-none-match", &tag).await.status, 304);
    let stale = browser.get("/admin/assets/hubferry.css?v=old").await.ok();
    assert_eq!(stale.header("cache-control"), "no-cache");
    for (name, kind) in [
        ("htmx.min.js", "text/javascript"),
        ("htmx-sse.min.js", "text/javascript"),
        ("hubferry.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
        ("NOTICE", "text/plain"),
    ] {
        let file = browser.get(&format!("/admin/assets/{name}")).await.ok();
        assert!(file.header("content-type").starts_with(kind), "{name}");
        assert_eq!(file.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(browser.get("/admin/assets/..%2FCargo.toml").await.status, 404);
}

#[tokio::test]
async fn the_colour_scheme_is_remembered() {
    let world = World::new().await;
    let browser = Browser::admin(&world).await;
    assert!(browser.get("/admin").await.text.contains("data-theme=\"auto\""));
    let fields = [("theme", "dark"), ("next", "/admin/queue?status=failed")];
    let seen = browser.submit("/admin/theme", &fields).await;
    assert_eq!((seen.status, seen.header("location")), (303, "/admin/queue?status=failed"));
    assert!(browser.get("/admin").await.text.contains("data-theme=\"dark\""));
    browser.submit("/admin/theme", &[("theme", "\"><script>"), ("next", "//evil.example")]).await;
    assert!(browser.get("/admin").await.text.contains("data-theme=\"auto\""));
}

/// The colours of the style: name to (light, dark).
fn colours() -> BTreeMap<&'static str, [&'static str; 2]> {
    let lines = STYLE.lines().filter_map(|line| {
        let (name, rest) = line.trim().strip_prefix("--")?.split_once(": light-dark(")?;
        let (light, dark) = rest.trim_end_matches(");").split_once(", ")?;
        Some((name, [light, dark]))
    });
    lines.collect()
}

/// The contrast of two colours as WCAG 2 defines it.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let part = |i: usize| {
            let value = u8::from_str_radix(&colour[i..i + 2], 16).expect(colour);
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn every_pair_of_colours_can_be_read_in_light_and_in_dark() {
    let colours = colours();
    let mut pairs = vec![("on-accent", "accent", 4.5), ("on-danger", "danger", 4.5)];
    for ground in ["bg", "panel", "raised"] {
        for text in ["text", "muted", "accent", "danger"] {
            pairs.push((text, ground, 4.5));
        }
        // Focus rings and the edges of fields and buttons.
        pairs.push(("accent", ground, 3.0));
        pairs.push(("control", ground, 3.0));
    }
    for tone in ["quiet", "info", "good", "warn", "bad"] {
        let names = colours.keys().filter(|name| name.starts_with(tone)).collect::<Vec<_>>();
        let find = |end: &str| **names.iter().find(|name| name.ends_with(end)).expect(tone);
        pairs.push((find("-fg"), find("-bg"), 4.5));
    }
    for line in ["chart-good", "chart-bad", "chart-one", "chart-two"] {
        pairs.push((line, "panel", 3.0));
    }
    for (front, ground, least) in pairs {
        for scheme in [0, 1] {
            let found = contrast(colours[front][scheme], colours[ground][scheme]);
            assert!(found >= least, "{front} on {ground}, scheme {scheme}: {found:.2}");
        }
    }
    assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 0.01);
}
