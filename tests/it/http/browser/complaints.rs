//! What the other tests rely on: the browser's complaints are heard, and barriers are found.

use super::sign_in;
use crate::support::World;
use crate::support::browser::{Screen, visit};

#[tokio::test]
async fn every_kind_of_complaint_is_heard() {
    let world = World::new().await;
    visit(&world, Screen::Desktop, async |tab| {
        sign_in(tab).await;
        for (deed, complaint) in [
            ("console.error('what a pity')", "what a pity"),
            ("console.warn('beware')", "beware"),
            ("setTimeout(() => { throw new Error('out of reach') })", "out of reach"),
            ("fetch('/admin/nowhere').then(() => 1)", "404"),
            ("fetch('http://127.0.0.1:9/').catch(() => 1)", "Content Security Policy"),
            (
                "document.body.append(Object.assign(document.createElement('script'), \
                 { textContent: 'window.ran = true' }))",
                "inline script",
            ),
            ("document.body.setAttribute('style', 'color: red')", "inline style"),
        ] {
            tab.eval(&format!("{{ {deed} }}; true")).await.expect("a page");
            tab.expect_fault(complaint).await;
        }
        assert_eq!(tab.eval("window.ran === undefined").await, Some(true.into()));
        tab.faults.take();
    })
    .await;
}

#[tokio::test]
async fn a_barrier_is_found_where_there_is_one() {
    let world = World::new().await;
    visit(&world, Screen::Desktop, async |tab| {
        tab.open_path("/admin/sign-in").await;
        assert_eq!(tab.barriers().await, Vec::<String>::new());
        tab.eval("document.querySelector('label').remove(); true").await.expect("a page");
        let found = tab.barriers().await.join("\n");
        assert!(found.contains("label (critical)") && found.contains("#key"), "{found}");
    })
    .await;
}
