//! Rate limit on wrong keys: after five in a row from one address, each further attempt waits
//! longer.
//!
//! An address that has shown a valid key may use valid keys for a while. Somebody who guesses keys
//! behind the same proxy therefore cannot lock out an application.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How many wrong keys are allowed without a wait, to allow for typing errors.
const FREE: u32 = 5;
/// The first wait. Each further failure doubles it.
const FIRST: TimeDelta = TimeDelta::seconds(2);
/// The longest wait.
const LONGEST: TimeDelta = TimeDelta::minutes(15);
/// An address without attempts for this long starts again from zero.
const FORGOTTEN: TimeDelta = TimeDelta::hours(1);
/// How many addresses are remembered. The one without attempts for the longest time is removed
/// first.
const MOST: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: DateTime<Utc>,
    /// When the address last showed a valid key.
    right: Option<DateTime<Utc>>,
}

/// Counts wrong keys by address, within this process.
#[derive(Debug)]
pub(super) struct Throttle {
    known: Mutex<HashMap<IpAddr, Failures>>,
    longest: TimeDelta,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Throttle {
    /// Makes a limit whose waits are at most `longest`.
    pub(super) fn up_to(longest: TimeDelta) -> Self {
        Self { known: Mutex::default(), longest }
    }

    /// Whether `from` has shown a valid key recently.
    pub(super) fn trusts(&self, from: IpAddr, now: DateTime<Utc>) -> bool {
        let known = self.lock().get(&network(from)).and_then(|failures| failures.right);
        known.is_some_and(|right| now - right < FORGOTTEN)
    }

    /// Notes that `from` has shown a valid key.
    pub(super) fn trust(&self, from: IpAddr, now: DateTime<Utc>) {
        let right = Failures { count: 0, last: now, right: Some(now) };
        *Self::entry(&mut self.lock(), from, now) = right;
    }

    /// Returns how long `from` must wait before the next attempt.
    pub(super) fn wait(&self, from: IpAddr, now: DateTime<Utc>) -> Option<Duration> {
        let failures = *self.lock().get(&network(from))?;
        if now - failures.last >= FORGOTTEN {
            return None;
        }
        let beyond = failures.count.checked_sub(FREE)?;
        let wait = FIRST.checked_mul(1 << beyond.min(20)).unwrap_or(self.longest).min(self.longest);
        (failures.last + wait - now).to_std().ok().filter(|rest| !rest.is_zero())
    }

    /// Counts an attempt that has not succeeded yet. Returns how many there were in a row.
    pub(super) fn failed(&self, from: IpAddr, now: DateTime<Utc>) -> u32 {
        let mut known = self.lock();
        let failures = Self::entry(&mut known, from, now);
        if now - failures.last >= FORGOTTEN {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        failures.count
    }

    /// Returns the entry of `from`. Removes another one if there are too many.
    fn entry(
        known: &mut HashMap<IpAddr, Failures>,
        from: IpAddr,
        now: DateTime<Utc>,
    ) -> &mut Failures {
        let from = network(from);
        if known.len() >= MOST && !known.contains_key(&from) {
            known.retain(|_, failures| now - failures.last < FORGOTTEN);
            let oldest = known.iter().min_by_key(|(_, f)| f.last).map(|(ip, _)| *ip);
            if let Some(oldest) = oldest.filter(|_| known.len() >= MOST) {
                known.remove(&oldest);
            }
        }
        known.entry(from).or_insert(Failures { count: 0, last: now, right: None })
    }

    pub(super) fn succeeded(&self, from: IpAddr) {
        self.lock().remove(&network(from));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Groups IPv6 addresses by network, because one client usually has 2^64 of them.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_wrong_key_must_wait_and_others_need_not() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
        let at = |s| now + TimeDelta::seconds(s);
        let (throttle, ip) = (Throttle::default(), "192.0.2.1".parse().expect("an address"));
        for _ in 0..4 {
            throttle.failed(ip, now);
            assert_eq!(throttle.wait(ip, now), None);
        }
        throttle.failed(ip, now);
        assert_eq!(throttle.wait(ip, now), Some(Duration::from_secs(2)));
        assert_eq!(throttle.wait("192.0.2.2".parse().expect("an address"), now), None);
        assert_eq!(throttle.wait(ip, at(2)), None);
        for _ in 0..40 {
            throttle.failed(ip, at(2));
        }
        assert_eq!(throttle.wait(ip, at(2)), Some(Duration::from_secs(900)));
        throttle.succeeded(ip);
        assert_eq!(throttle.wait(ip, at(2)), None);
    }

    #[test]
    fn one_ipv6_network_is_one_guesser_and_memory_has_an_end() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
        let throttle = Throttle::default();
        for host in 0..5_u128 {
            throttle.failed(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | host)), now);
        }
        let same = IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | 99));
        assert!(throttle.wait(same, now).is_some());
        for host in 0..20_000_u32 {
            throttle.failed(IpAddr::V4(host.into()), now);
        }
        assert!(throttle.lock().len() <= MOST);
    }
}
