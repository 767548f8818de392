//! This machine's clock. What is stored goes by Postgres' clock; this one is only shown and compared.

use chrono::{DateTime, Utc};

/// Now, as this machine has it.
#[expect(clippy::disallowed_methods, reason = "nothing is stored or ordered by it")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}
