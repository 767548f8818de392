//! What the simulated account is like: its token, its limits, its currencies.
//!
//! Everything here is fixed when the sandbox starts; what a test changes while it runs is in
//! `faults`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::Faults;

/// The settings of a simulated account.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bearer token that is accepted.
    pub token: String,
    /// The account's number (HubSpot also says "Hub ID").
    pub portal_id: u64,
    /// IANA name of the account's time zone; the daily quota ends at its midnight.
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
    /// How long every reply is held back after the call was carried out.
    pub latency: Duration,
    /// Seeds the shuffling of results and the gaps between record ids.
    pub seed: u64,
    /// The faults to begin with.
    pub faults: Faults,
    /// The scopes the token has; `None` is all of them.
    pub scopes: Option<Vec<String>>,
    /// Properties an administrator marked as required, by plural object type; enforced on create
    /// and by version 2026-09 only.
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
    /// The account's own currency first, then the others.
    pub(crate) fn currencies(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.company_currency).chain(&self.additional_currencies)
    }
}
