//! Asks a running server what it would send for the events, given what HubSpot has already.

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use crate::cli::ServerArgs;
use crate::cli::remote::Remote;
use crate::config::Config;

/// The server's records with their verdicts: `{"records":[{"sync_type","external_id","linked",
/// "properties":[{"name","value","verdict","reason"}]}]}`.
pub(super) async fn ask(
    url: &str,
    key: Option<String>,
    config: &Config,
    events: &[Value],
) -> Result<Value> {
    let server = ServerArgs { url: Some(url.to_owned()), key, json: true };
    let remote = Remote::admin(&server, config)?;
    if events.is_empty() {
        return Ok(serde_json::json!({ "records": [] }));
    }
    remote.call(Method::POST, "/admin/sync/plan", Some(Value::Array(events.to_vec()))).await
}
