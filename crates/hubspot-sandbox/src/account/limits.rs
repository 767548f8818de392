//! The limits on calls: a rolling ten-second window, a day, and a second for searches.
//!
//! The window is exact, not a bucket: a call is refused if the ten seconds before it already
//! contain as many accepted calls as allowed. Refused calls do not use up the limit, but they count
//! for the peak, by which an integration is judged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use uuid::Uuid;

use crate::wire::reply::Refusal;

const WINDOW: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// The counters of one account.
#[derive(Debug)]
pub(crate) struct Limits {
    per_window: u32,
    daily: u32,
    searches_per_second: u32,
    accepted: VecDeque<Instant>,
    arrived: VecDeque<Instant>,
    searches: VecDeque<Instant>,
    peak: usize,
    day: NaiveDate,
    used_today: u32,
}

impl Limits {
    pub(crate) fn new(per_window: u32, daily: u32, searches: u32, day: NaiveDate) -> Self {
        Self {
            per_window,
            daily,
            searches_per_second: searches,
            accepted: VecDeque::new(),
            arrived: VecDeque::new(),
            searches: VecDeque::new(),
            peak: 0,
            day,
            used_today: 0,
        }
    }

    /// Counts a call that arrives now, or refuses it. `others` is the number of calls that another
    /// integration has made in the window.
    pub(crate) fn arrive(
        &mut self,
        at: Instant,
        today: NaiveDate,
        search: bool,
        others: u32,
        portal_id: u64,
    ) -> Result<(), Refusal> {
        if today != self.day {
            self.day = today;
            self.used_today = 0;
        }
        if !search {
            forget(&mut self.arrived, at, WINDOW);
            self.arrived.push_back(at);
            self.peak = self.peak.max(self.arrived.len());
        }
        if self.used_today >= self.daily {
            return Err(daily_refusal());
        }
        if search {
            forget(&mut self.searches, at, SECOND);
            if self.searches.len() >= self.searches_per_second as usize {
                return Err(Refusal::plain(429, "You have reached your secondly limit.")
                    .category("RATE_LIMITS"));
            }
            self.searches.push_back(at);
        } else {
            forget(&mut self.accepted, at, WINDOW);
            let allowed = self.per_window.saturating_sub(others) as usize;
            if self.accepted.len() >= allowed {
                return Err(window_refusal(portal_id));
            }
            self.accepted.push_back(at);
        }
        self.used_today += 1;
        Ok(())
    }

    /// Returns the headers of every reply. Replies to searches lack those of the window.
    pub(crate) fn headers(&self, search: bool, others: u32) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("x-hubspot-ratelimit-daily", self.daily.to_string()),
            ("x-hubspot-ratelimit-daily-remaining", self.remaining_today().to_string()),
        ];
        let second = if search { self.searches_per_second } else { self.per_window / 10 };
        headers.push(("x-hubspot-ratelimit-secondly", second.to_string()));
        headers.push(("x-hubspot-ratelimit-secondly-remaining", second.to_string()));
        if !search {
            let taken = u32::try_from(self.accepted.len()).unwrap_or(u32::MAX);
            let left = self.per_window.saturating_sub(others).saturating_sub(taken);
            headers.push(("x-hubspot-ratelimit-max", self.per_window.to_string()));
            headers.push(("x-hubspot-ratelimit-remaining", left.to_string()));
            headers.push(("x-hubspot-ratelimit-interval-milliseconds", "10000".into()));
        }
        headers
    }

    /// Sets how many calls are left today.
    pub(crate) fn leave_today(&mut self, remaining: u32) {
        self.used_today = self.daily.saturating_sub(remaining);
    }

    pub(crate) fn remaining_today(&self) -> u32 {
        self.daily.saturating_sub(self.used_today)
    }

    pub(crate) fn used_today(&self) -> u32 {
        self.used_today
    }

    pub(crate) fn daily(&self) -> u32 {
        self.daily
    }

    /// The most calls that ever arrived within ten seconds.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }
}

fn forget(instants: &mut VecDeque<Instant>, now: Instant, span: Duration) {
    while instants.front().is_some_and(|at| now.saturating_duration_since(*at) >= span) {
        instants.pop_front();
    }
}

fn daily_refusal() -> Refusal {
    Refusal::plain(429, "You have reached your daily limit.")
        .with("errorType", "RATE_LIMIT")
        .with("policyName", "DAILY")
        .with("requestId", Uuid::new_v4().to_string())
}

fn window_refusal(portal_id: u64) -> Refusal {
    Refusal::plain(429, "You have reached your ten_secondly_rolling limit.")
        .with("errorType", "RATE_LIMIT")
        .with("policyName", "TEN_SECONDLY_ROLLING")
        .with("groupName", format!("publicapi:sandbox:{portal_id}"))
}
