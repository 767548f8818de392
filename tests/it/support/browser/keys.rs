//! A keyboard.

use serde_json::{Value, json};

use super::cdp::Call;
use super::tab::Tab;

/// A key by its name (`Tab`, `Shift+Tab`, `Enter`, `Space`, `Escape`, arrows) or a character.
fn press(key: &str) -> Value {
    let (shift, key) = key.strip_prefix("Shift+").map_or((0, key), |key| (8, key));
    let (name, code, number, text) = match key {
        "Enter" => ("Enter", "Enter", 13, "\r"),
        "Space" => (" ", "Space", 32, " "),
        "Tab" => ("Tab", "Tab", 9, ""),
        "Escape" => ("Escape", "Escape", 27, ""),
        "Backspace" => ("Backspace", "Backspace", 8, ""),
        "ArrowDown" => ("ArrowDown", "ArrowDown", 40, ""),
        "ArrowUp" => ("ArrowUp", "ArrowUp", 38, ""),
        other => (other, "", 0, other),
    };
    let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
    json!({ "type": kind, "key": name, "code": code, "windowsVirtualKeyCode": number,
            "text": text, "modifiers": shift })
}

impl Tab {
    /// Presses a key and lets it go.
    pub async fn press(&self, key: &str) {
        let mut fields = press(key);
        self.call("Input.dispatchKeyEvent", fields.clone()).await;
        fields["type"] = json!("keyUp");
        fields["text"] = json!("");
        // The page that would hear the key go may be gone.
        self.page.execute(Call::new("Input.dispatchKeyEvent", fields)).await.ok();
    }

    /// Types into what has the focus.
    pub async fn type_text(&self, text: &str) {
        for letter in text.chars() {
            self.press(letter.encode_utf8(&mut [0; 4])).await;
        }
    }

    /// Goes on with Tab until this has the focus. Every stop on the way must show that it is there.
    pub async fn tab_to(&self, role: &str, name: &str) {
        let target = self.find(role, name).await;
        for _ in 0..120 {
            self.press("Tab").await;
            let stop = self.focus().await;
            assert!(stop["on_page"] == true, "the focus left the page before {role} {name}");
            assert_eq!(stop["shown"], true, "no visible focus: {stop}");
            if self.has_focus(&target).await {
                return;
            }
        }
        panic!("Tab never comes to {role} {name}");
    }

    /// What has the focus, and whether that can be seen.
    async fn focus(&self) -> Value {
        self.eval(
            "(() => {
                const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
                const outline = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
                const inside = r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth;
                return { on_page: e !== document.body, what: e.outerHTML.slice(0, 160), outline, inside,
                         shown: e.matches(':focus-visible, input:focus-within') && outline && inside && r.width > 4 };
            })()",
        )
        .await
        .expect("a page")
    }
}
