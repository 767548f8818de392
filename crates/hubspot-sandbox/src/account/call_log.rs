//! The log of the calls that have arrived.

use serde::Serialize;

/// One call of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallView {
    /// Milliseconds from the start of the sandbox to the arrival.
    pub arrived_at_ms: u64,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The status of the answer; 0 if the connection was cut or left hanging.
    pub status: u16,
    /// The number of `inputs`; 1 for calls that have none.
    pub inputs: usize,
    /// Whether it counted for the ten-second window.
    pub rate_counted: bool,
}
