//! Exit codes of the command line: one number for each reason, the same for every subcommand.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::hubspot::{Class, Failure};
use crate::mapping::MappingError;
use crate::queue::QueueError;

/// The numbers, for `hubferry --help`.
pub(super) const HELP: &str = "Exit codes:
  0    done
  1    failed: events were refused, a check found a problem, rows failed
  2    wrong arguments or settings
  3    no server, HubSpot or Postgres answers
  4    the key or token is refused (401, 403)
  130  interrupted";

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is done.
    Done,
    /// Something failed that is neither of the following.
    Failed,
    /// Wrong arguments or settings.
    Wrong,
    /// No server (or HubSpot, or Postgres) answers.
    Unanswered,
    /// A key or token is refused.
    Refused,
    /// A person ended it.
    Interrupted,
}

impl Exit {
    /// Done, or failed.
    pub(super) fn of(done: bool) -> Self {
        if done { Self::Done } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::Unanswered => 3,
            Exit::Refused => 4,
            Exit::Interrupted => 130,
        })
    }
}

/// An error that knows how the process ends.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Ended {
    exit: Exit,
    message: String,
}

/// An error that ends the process with `exit`.
pub(super) fn error(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    Ended { exit, message: message.into() }.into()
}

/// Wrong arguments.
pub(super) fn wrong(message: impl Into<String>) -> anyhow::Error {
    error(Exit::Wrong, message)
}

/// An error with its causes, on one line. Many an error says its cause itself; none is said twice.
pub(super) fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// How a call of HubSpot's that failed ends the process.
pub(super) fn of_failure(failure: &Failure) -> Exit {
    match failure.class {
        Class::Unauthorized | Class::Forbidden | Class::OauthTerminal => Exit::Refused,
        Class::Unavailable => Exit::Unanswered,
        _ => Exit::Failed,
    }
}

/// How the process ends with `error`: the first of its chain that knows decides.
pub(super) fn of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(ended) = cause.downcast_ref::<Ended>() {
            return ended.exit;
        }
        if cause.is::<ConfigError>() || cause.is::<MappingError>() {
            return Exit::Wrong;
        }
        if let Some(QueueError::Unavailable(_)) = cause.downcast_ref::<QueueError>() {
            return Exit::Unanswered;
        }
        if let Some(database) = cause.downcast_ref::<sqlx::Error>() {
            return of_database(database);
        }
    }
    Exit::Failed
}

fn of_database(error: &sqlx::Error) -> Exit {
    use sqlx::Error;
    match error {
        Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::Tls(_) => Exit::Unanswered,
        // Class 28: wrong password; 3D000: no such database; class 57: starting up or shutting down
        // (https://www.postgresql.org/docs/current/errcodes-appendix.html).
        Error::Database(database) => match database.code().as_deref() {
            Some(code) if code.starts_with("28") => Exit::Refused,
            Some("3D000") => Exit::Wrong,
            Some(code) if code.starts_with("57") || code.starts_with("53") => Exit::Unanswered,
            _ => Exit::Failed,
        },
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_first_cause_that_knows_decides_how_the_process_ends() {
        let missing = ConfigError::Missing { key: "A", way_out: "set it".into() };
        assert_eq!(of(&missing.into()), Exit::Wrong);
        let lost = Err::<(), _>(sqlx::Error::PoolTimedOut).context("Postgres cannot be reached");
        assert_eq!(of(&lost.unwrap_err()), Exit::Unanswered);
        let refused = Err::<(), _>(error(Exit::Refused, "401")).context("status");
        assert_eq!(of(&refused.unwrap_err()), Exit::Refused);
        assert_eq!(of(&anyhow::anyhow!("anything else")), Exit::Failed);
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("no such role");
        let error = anyhow::Error::new(sqlx::Error::Io(cause)).context("the schema is behind");
        assert_eq!(told(&error).matches("no such role").count(), 1, "{}", told(&error));
        assert!(told(&error).starts_with("the schema is behind: "), "{}", told(&error));
    }
}
