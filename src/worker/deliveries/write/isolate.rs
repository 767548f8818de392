//! Isolation: divides a batch that HubSpot refused as a whole, to find its bad records.
//!
//! Usually HubSpot names them; then they are sent alone. Otherwise the batch is halved until the bad
//! records are alone. If many records are bad, the rest is sent one by one, because halving would
//! cost more. With k bad records in n, this takes at most 2·k·log2(n) + 1 calls, and never more than
//! 2·n.

use crate::hubspot::Failure;
use crate::worker::deliveries::write::{Isolation, Writing};

/// After this many bad records the rest is sent one by one.
const MANY: usize = 10;

/// Splits a refused batch so that its bad records end up alone. The last part is sent first.
pub(super) fn divide(how: &Isolation, batch: Vec<Writing>, failure: &Failure) -> Vec<Vec<Writing>> {
    let size = batch.len();
    let (named, mut rest): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|work| failure.ids.contains(&work.input.id));
    if how.bad >= MANY {
        return rest.into_iter().chain(named).map(|work| vec![work]).collect();
    }
    if named.is_empty() || named.len() == size {
        let mut all = named;
        all.append(&mut rest);
        let half = all.split_off(size / 2);
        return vec![half, all];
    }
    std::iter::once(rest).chain(named.into_iter().map(|work| vec![work])).collect()
}
