//! Finds out which HubSpot account the token belongs to.

use serde_json::Value;

use super::classify::Failure;
use super::client::{Call, Sender};
use super::paths::Version;

/// The details of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// HubSpot's id of the account.
    pub id: i64,
    /// Its time zone, an IANA name.
    pub time_zone: String,
    /// The currencies that deals may use.
    pub currencies: Vec<String>,
}

/// Requests the account details.
///
/// # Errors
/// The classified failure.
pub async fn details(sender: &impl Sender, version: &Version) -> Result<Account, Failure> {
    let body = sender.send(Call::get(version.account(), "read account")).await.result?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let id = body.get("portalId").and_then(Value::as_i64).ok_or_else(|| {
        Failure::lost("BROKEN_REPLY", "the account's details lack its portal id".into(), false)
    })?;
    let more =
        body.get("additionalCurrencies").and_then(Value::as_array).cloned().unwrap_or_default();
    let more = more.iter().filter_map(|c| c.as_str().map(str::to_owned));
    Ok(Account {
        id,
        time_zone: text("timeZone").unwrap_or_else(|| "UTC".into()),
        currencies: text("companyCurrency").into_iter().chain(more).collect(),
    })
}
