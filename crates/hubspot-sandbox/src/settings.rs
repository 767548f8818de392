//! The properties of the simulated account: its token, its limits, its currencies.
//!
//! Everything here is fixed when the sandbox starts. `faults` contains what a test can change while
//! it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::Faults;

/// The settings of a simulated account.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The accepted bearer token.
    pub token: String,
    /// The account's number, which HubSpot also calls "Hub ID".
    pub portal_id: u64,
    /// The IANA name of the account's time zone. The daily limit resets at its midnight.
    pub time_zone: String,
    /// ISO 4217 code of the account's own currency.
    pub company_currency: String,
    /// The further currencies that deals may use.
    pub additional_currencies: Vec<String>,
    /// Calls allowed in any rolling ten seconds.
    pub limit_per_10s: u32,
    /// Calls allowed in a day.
    pub daily_limit: u32,
    /// Searches allowed in any rolling second.
    pub search_per_second: u32,
    /// How long every reply is delayed after the call was performed.
    pub latency: Duration,
    /// Seeds the shuffling of results and the gaps between record ids.
    pub seed: u64,
    /// The faults to begin with.
    pub faults: Faults,
    /// The scopes of the token; `None` means all.
    pub scopes: Option<Vec<String>>,
    /// Properties that an administrator marked as required, by plural object type. Only version
    /// 2026-09 enforces them, and only on create.
    pub required: BTreeMap<String, Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token: "sandbox-token".into(),
            portal_id: 1_234_567,
            time_zone: "Europe/Paris".into(),
            company_currency: "EUR".into(),
            additional_currencies: vec!["USD".into()],
            limit_per_10s: 100,
            daily_limit: 250_000,
            search_per_second: 5,
            latency: Duration::ZERO,
            seed: 7,
            faults: Faults::default(),
            scopes: None,
            required: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Returns the account's own currency first, then the others.
    pub(crate) fn currencies(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.company_currency).chain(&self.additional_currencies)
    }
}
