//! This machine's clock. It is only shown and compared; stored times come from Postgres' clock.

use chrono::{DateTime, Utc};

/// Now, as this machine has it.
#[expect(clippy::disallowed_methods, reason = "nothing is stored or ordered by it")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}
