//! What the browser complains about: console errors, exceptions, refusals of the content policy,
//! requests that failed or were answered with an error.

use std::sync::{Arc, Mutex};

use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::log::EventEntryAdded;
use chromiumoxide::cdp::browser_protocol::network::EventLoadingFailed;
use chromiumoxide::cdp::js_protocol::runtime::{EventConsoleApiCalled, EventExceptionThrown};
use futures_util::StreamExt;

/// The complaints so far.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<String>>>);

impl Faults {
    /// Listens to `page` from now on.
    pub async fn of(page: &Page) -> Self {
        let faults = Self::default();
        let mut entries = page.event_listener::<EventEntryAdded>().await.expect("events");
        let told = faults.clone();
        tokio::spawn(async move {
            while let Some(event) = entries.next().await {
                let entry = &event.entry;
                if matches!(entry.level.as_ref(), "error" | "warning") {
                    let url = entry.url.as_deref().unwrap_or_default();
                    told.add(format!("{}: {} {url}", entry.source.as_ref(), entry.text));
                }
            }
        });
        let mut calls = page.event_listener::<EventConsoleApiCalled>().await.expect("events");
        let told = faults.clone();
        tokio::spawn(async move {
            while let Some(event) = calls.next().await {
                let kind = event.r#type.as_ref();
                if matches!(kind, "error" | "warning" | "assert") {
                    let said = |a: &chromiumoxide::cdp::js_protocol::runtime::RemoteObject| {
                        let value = a.value.as_ref().map(ToString::to_string);
                        value.or_else(|| a.description.clone()).unwrap_or_default()
                    };
                    let words: Vec<String> = event.args.iter().map(said).collect();
                    told.add(format!("console.{kind}: {}", words.join(" ")));
                }
            }
        });
        let mut thrown = page.event_listener::<EventExceptionThrown>().await.expect("events");
        let told = faults.clone();
        tokio::spawn(async move {
            while let Some(event) = thrown.next().await {
                let details = &event.exception_details;
                let what = details.exception.as_ref().and_then(|e| e.description.clone());
                told.add(format!("exception: {} {}", details.text, what.unwrap_or_default()));
            }
        });
        let mut failed = page.event_listener::<EventLoadingFailed>().await.expect("events");
        let told = faults.clone();
        tokio::spawn(async move {
            while let Some(event) = failed.next().await {
                // Leaving a page ends what it was waiting for.
                if !event.canceled.unwrap_or(false) {
                    told.add(format!("request failed: {}", event.error_text));
                }
            }
        });
        faults
    }

    fn add(&self, fault: String) {
        self.0.lock().expect("no panic meanwhile").push(fault);
    }

    /// Those so far, which are forgotten.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic meanwhile"))
    }

    /// Forgets those that hold `part`; answers how many.
    pub fn forgive(&self, part: &str) -> usize {
        let mut all = self.0.lock().expect("no panic meanwhile");
        let before = all.len();
        all.retain(|fault| !fault.contains(part));
        before - all.len()
    }
}
