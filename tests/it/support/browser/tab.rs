//! One tab with a profile of its own, and what a person does in it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::Page;
use chromiumoxide::browser::Browser;
use chromiumoxide::cdp::browser_protocol::browser::BrowserContextId;
use chromiumoxide::cdp::browser_protocol::target::{
    CreateBrowserContextParams, CreateTargetParams,
};
use serde_json::{Value, json};

use super::PATIENCE;
use super::faults::Faults;
use super::find::Found;

/// What is looked at, and how it is pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// 1280 × 800 and a mouse.
    Desktop,
    /// 390 × 844 and a finger.
    Phone,
}

pub struct Tab {
    pub page: Page,
    pub faults: Faults,
    base: String,
    context: BrowserContextId,
    screen: Cell<Screen>,
}

/// Where to point at: the middle of what is shown of it, and whether anything lies above it.
const POINT: &str = "function () {
    if (!this.isConnected) return { gone: true };
    this.scrollIntoView({ block: 'center', inline: 'nearest', behavior: 'instant' });
    const r = this.getClientRects()[0];
    if (!r) return { hidden: true };
    const x = r.x + r.width / 2, y = r.y + r.height / 2, at = document.elementFromPoint(x, y);
    const own = at && (this.contains(at) || [...(this.labels || [])].some(l => l.contains(at)));
    return { x, y, own: !!own, disabled: !!this.disabled, at: at ? at.outerHTML.slice(0, 120) : 'nothing' };
}";

impl Tab {
    pub async fn open(browser: &Browser, base: &str, screen: Screen) -> Self {
        let context = CreateBrowserContextParams::default();
        let context = browser.create_browser_context(context).await.expect("a profile");
        let mut target = CreateTargetParams::new("about:blank");
        target.browser_context_id = Some(context.clone());
        let page = browser.new_page(target).await.expect("a page");
        let faults = Faults::of(&page).await;
        let base = base.to_owned();
        let tab = Self { page, faults, base, context, screen: Cell::new(screen) };
        for domain in
            ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable", "DOM.enable"]
        {
            tab.call(domain, json!({})).await;
        }
        tab.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        tab.show_on(screen).await;
        tab.prefer("light").await;
        tab
    }

    /// Closes it; answers what the browser complained about.
    pub async fn close(self, browser: &Browser) -> Vec<String> {
        // One more round trip, so that every complaint before it has come.
        self.eval("true").await;
        let faults = self.faults.take();
        browser.dispose_browser_context(self.context).await.ok();
        faults
    }

    pub async fn show_on(&self, screen: Screen) {
        self.screen.set(screen);
        let phone = screen == Screen::Phone;
        let (width, height) = if phone { (390, 844) } else { (1280, 800) };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
                              "mobile": phone, "screenWidth": width, "screenHeight": height });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let touch = json!({ "enabled": phone, "maxTouchPoints": 1 });
        self.call("Emulation.setTouchEmulationEnabled", touch).await;
    }

    /// The colour scheme that the person's system asks for: `light` or `dark`.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme },
                              { "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// The value of an expression, awaited if it is a promise; nothing while the page changes.
    pub async fn eval(&self, expression: &str) -> Option<Value> {
        let fields = json!({ "expression": expression, "returnByValue": true,
                             "awaitPromise": true });
        let reply = self.try_call("Runtime.evaluate", fields).await?;
        if let Some(thrown) = reply.get("exceptionDetails") {
            panic!("{thrown} in {}", &expression[..expression.len().min(200)]);
        }
        Some(reply["result"]["value"].clone())
    }

    /// Between two looks at a page that is not there yet.
    pub async fn breathe(&self) {
        tokio::time::sleep(Duration::from_millis(40)).await;
    }

    /// Waits until the expression holds.
    pub async fn until(&self, what: &str, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.eval(expression).await != Some(Value::Bool(true)) {
            assert!(Instant::now() < end, "not in time: {what}, at {}", self.place().await);
            self.breathe().await;
        }
    }

    /// The path and query of the address.
    pub async fn place(&self) -> String {
        let place = self.eval("location.pathname + location.search").await;
        place.as_ref().and_then(Value::as_str).unwrap_or("a page that is changing").to_owned()
    }

    /// Opens a path of the dashboard.
    pub async fn open_path(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.leading(async || {
            self.call("Page.navigate", json!({ "url": url })).await;
        })
        .await;
    }

    pub async fn reload(&self) {
        self.leading(async || {
            self.call("Page.reload", json!({})).await;
        })
        .await;
    }

    /// One step back (-1) or forward (1) in the history; it may stay in the same document.
    pub async fn step_history(&self, by: i64) {
        let history = self.call("Page.getNavigationHistory", json!({})).await;
        let at = history["currentIndex"].as_i64().expect("an index") + by;
        let entry = &history["entries"][usize::try_from(at).expect("a step in the history")];
        self.call("Page.navigateToHistoryEntry", json!({ "entryId": entry["id"] })).await;
        let url = entry["url"].as_str().expect("an address");
        self.until(
            url,
            &format!("location.href === {url:?} && document.readyState === 'complete'"),
        )
        .await;
    }

    /// Does what leads to another document, and waits until that is whole.
    async fn leading(&self, deed: impl AsyncFnOnce()) {
        let before = self.eval("performance.timeOrigin").await.expect("a page");
        deed().await;
        let whole =
            format!("performance.timeOrigin !== {before} && document.readyState === 'complete'");
        self.until("another page", &whole).await;
    }

    /// Clicks or taps what leads to another page.
    pub async fn follow(&self, role: &str, name: &str) {
        self.leading(async || self.click(role, name).await).await;
    }

    /// Presses a key that leads to another page.
    pub async fn press_through(&self, key: &str) {
        self.leading(async || self.press(key).await).await;
    }

    /// Clicks or taps it.
    pub async fn click(&self, role: &str, name: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.find(role, name).await;
            let point = self.ask(&found, POINT).await.unwrap_or_default();
            if let (Some(x), Some(y)) = (point["x"].as_f64(), point["y"].as_f64())
                && point["own"] == true
                && point["disabled"] == false
            {
                return self.point_at(x, y).await;
            }
            assert!(Instant::now() < end, "{role} {name:?} cannot be pointed at: {point}");
            self.breathe().await;
        }
    }

    async fn point_at(&self, x: f64, y: f64) {
        if self.screen.get() == Screen::Phone {
            let touch = json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] });
            self.call("Input.dispatchTouchEvent", touch).await;
            let end = json!({ "type": "touchEnd", "touchPoints": [] });
            self.try_call("Input.dispatchTouchEvent", end).await;
            return;
        }
        for (kind, count) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 1)] {
            let button = if count == 0 { "none" } else { "left" };
            let mouse = json!({ "type": kind, "x": x, "y": y, "button": button,
                                "clickCount": count });
            self.try_call("Input.dispatchMouseEvent", mouse).await;
        }
    }

    /// Writes into the field of this label, instead of what it holds.
    pub async fn fill(&self, role: &str, label: &str, text: &str) {
        self.click(role, label).await;
        let field = self.find(role, label).await;
        self.ask(&field, "function () { this.focus(); this.select(); }").await.expect("a field");
        if text.is_empty() {
            self.press("Backspace").await;
        }
        self.type_text(text).await;
        let held = self.value(role, label).await;
        assert_eq!(held, text, "{label}");
    }

    pub async fn value(&self, role: &str, label: &str) -> String {
        let field = self.find(role, label).await;
        let held = self.ask(&field, "function () { return this.value; }").await;
        held.as_ref().and_then(Value::as_str).expect("a field").to_owned()
    }

    /// Chooses by the words of an option; the list that opens is not part of the page.
    pub async fn choose(&self, label: &str, option: &str) {
        let list = self.find("combobox", label).await;
        let choose = format!(
            "function () {{
                const option = [...this.options].find(o => o.text.trim() === {option:?});
                if (!option) return false;
                this.focus();
                this.value = option.value;
                this.dispatchEvent(new Event('input', {{ bubbles: true }}));
                this.dispatchEvent(new Event('change', {{ bubbles: true }}));
                return true;
            }}"
        );
        assert_eq!(self.ask(&list, &choose).await, Some(Value::Bool(true)), "{label}: {option}");
    }

    /// The words on the page, as they are shown.
    pub async fn words(&self) -> String {
        let text =
            self.eval("document.body ? document.body.innerText.replace(/\\s+/g, ' ') : ''").await;
        text.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Waits for words to be shown.
    pub async fn sees(&self, words: &str) {
        self.waits_for(words, true).await;
    }

    /// Waits for words to be gone.
    pub async fn sees_no(&self, words: &str) {
        self.waits_for(words, false).await;
    }

    async fn waits_for(&self, words: &str, shown: bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.words().await;
            if !text.is_empty() && text.contains(words) == shown {
                return;
            }
            let place = self.place().await;
            assert!(Instant::now() < end, "{words:?} shown: {}, at {place}: {text}", !shown);
            self.breathe().await;
        }
    }

    /// The words of what was found.
    pub async fn text(&self, found: &Found) -> String {
        let text = self.ask(found, "function () { return this.innerText; }").await;
        text.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// How far the page is wider than the screen, in pixels.
    pub async fn overflow(&self) -> i64 {
        let wide = self.eval("document.documentElement.scrollWidth - innerWidth").await;
        wide.and_then(|wide| wide.as_i64()).expect("a page")
    }

    /// What is on the screen, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let fields = json!({ "format": "png", "optimizeForSpeed": false });
        let reply = self.call("Page.captureScreenshot", fields).await;
        STANDARD.decode(reply["data"].as_str().expect("a picture")).expect("base64")
    }

    /// Keeps what is on the screen for whoever asks why a visit failed.
    pub async fn keep_evidence(&self) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
        std::fs::create_dir_all(&folder).ok();
        let name = std::thread::current().name().unwrap_or("visit").replace("::", "-");
        let file: PathBuf = folder.join(format!("{name}.png"));
        let place = self.place().await;
        std::fs::write(&file, self.picture().await).ok();
        println!("the visit ended at {place}: {}", file.display());
    }
}
