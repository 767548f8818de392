//! Checks the HubSpot account, so that nothing is sent to an account other than the linked one.

use chrono::TimeDelta;

use super::Worker;
use super::work::StepError;
use crate::hubspot::Failure;
use crate::hubspot::account::details;
use crate::queue::gates::gate::Closure;
use crate::queue::gates::kind::GateKind;

impl Worker {
    /// Asks HubSpot which account the token belongs to. The first account is stored. If the token
    /// belongs to another account, the gate closes until that changes. Returns whether HubSpot
    /// answered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn check_account(&self) -> Result<bool, StepError> {
        Ok(match self.ask_account().await? {
            Ok(()) => true,
            Err(failure) => {
                tracing::warn!(code = failure.code, "HubSpot's account could not be read");
                false
            }
        })
    }

    /// Does the same, and returns why HubSpot did not answer.
    pub(super) async fn ask_account(&self) -> Result<Result<(), Failure>, StepError> {
        let connection = &self.connection;
        let account = match details(&connection.permits, connection.client.version()).await {
            Ok(account) => account,
            Err(failure) => {
                let now = self.now().await?;
                self.close_for("", &failure, now).await?;
                return Ok(Err(failure));
            }
        };
        if account.time_zone.parse::<chrono_tz::Tz>().is_err() {
            let time_zone = account.time_zone.as_str();
            tracing::warn!(time_zone, "unknown time zone: the daily quota ends at midnight UTC");
        }
        let remembered = self.portal.queue.remember_account(account.id, &account.time_zone).await?;
        self.connection.permits.set_foreign(remembered != account.id);
        if remembered == account.id {
            self.portal.queue.open_gate(GateKind::Account).await?;
            self.portal.queue.open_fault_gates("").await?;
        } else {
            let closure = Closure {
                code: Some("OTHER_ACCOUNT".into()),
                reason: format!(
                    "the token belongs to HubSpot account {}, the links were made in {remembered}",
                    account.id
                ),
                hint: Some(
                    "set HUBSPOT_API_KEY to a token of the account that the links were made in"
                        .into(),
                ),
                ..Closure::default()
            };
            let now = self.now().await?;
            // Ten years, which is effectively until the check itself opens the gate.
            let until = now + TimeDelta::days(3_650);
            self.portal.queue.close_gate(GateKind::Account, &closure, Some(until), now).await?;
            tracing::error!(remembered, found = account.id, "the token belongs to another account");
        }
        Ok(Ok(()))
    }
}
