//! Logs and metrics of the process.
//!
//! Each event is one line: JSON when standard error is not a terminal, readable text when it is.
//! Fields are dotted by entity and name their unit. Payloads, keys, tokens and addresses are never
//! logged.

mod sink;

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

pub use sink::{flush, say};

/// Starts logging to standard error. `format` is `auto`, `text` or `json`; `filter` is `RUST_LOG`.
/// A second call in the same process changes nothing.
pub fn start_logs(format: &str, filter: Option<&str>, default: &str) {
    // Broken connections in the pool are logged once by the code that needs a connection.
    let default = || EnvFilter::new(format!("{default},sqlx_core::pool=off"));
    let filter = filter.and_then(|f| EnvFilter::try_new(f).ok()).unwrap_or_else(default);
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(sink::Sink)
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NONE);
    let json = match format {
        "json" => true,
        "text" => false,
        _ => !std::io::stderr().is_terminal(),
    };
    // If the caller has installed a subscriber already, it stays.
    let _ = if json {
        logs.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        logs.with_target(false).try_init()
    };
}

/// Logs panics like everything else. The default hook writes to standard error directly and would
/// block if nobody reads it.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let reason = panic.payload_as_str().unwrap_or("no reason given");
        tracing::error!(panic.place = place, panic.reason = reason, "a panic");
    }));
}

/// Starts collecting metrics and returns the handle that renders them. Call it once in a process.
///
/// # Errors
/// When the bucket bounds are wrong.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    static STARTED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*started {
        return Ok(handle.clone());
    }
    let buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let recorder = PrometheusBuilder::new().set_buckets(&buckets)?.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("metrics are collected elsewhere already");
    }
    Ok(started.insert(handle).clone())
}
