//! `hubferry doctor`: checks everything that must be right. Each check has a verdict and says what
//! to do.
//!
//! It changes nothing: no migration, no property, no row.

mod encryption;
mod hubspot;
mod postgres;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exit::{self, Exit};
use super::text;
use crate::app;
use crate::cli::out::say;
use crate::config::{Config, ConfigError};
use crate::hubspot::Client;
use crate::portals::Permits;
use crate::settings::Live;

/// The area of the checks of the database.
const POSTGRES: &str = "postgres";

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry doctor\n  hubferry doctor --json | jq '.checks[] | select(.verdict == \"problem\")'\n\nLooks at the settings, at Postgres (version, connection, settings, clock, schema, sequences,\nqueue) and at HubSpot (token, account, scopes as far as reading shows them, properties, stages, quota). It changes nothing. It names\nwhat is not configured and leaves it out. Its calls count in the quota that running servers share where\nthe database is there. Exit code 1 when there is a problem or a setting that `serve` needs is missing."
)]
pub(super) struct DoctorArgs {
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Problem,
    NotConfigured,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// `settings`, `postgres` or `hubspot`.
    area: &'static str,
    name: String,
    verdict: Verdict,
    detail: String,
    way_out: Option<String>,
}

/// Gathers checks.
#[derive(Debug, Default)]
struct Report(Vec<Check>);

impl Report {
    fn add(
        &mut self,
        area: &'static str,
        name: impl Into<String>,
        verdict: Verdict,
        detail: impl Into<String>,
        way_out: Option<String>,
    ) {
        let (name, detail) = (name.into(), detail.into());
        self.0.push(Check { area, name, verdict, detail, way_out });
    }

    fn ok(&mut self, area: &'static str, name: impl Into<String>, detail: impl Into<String>) {
        self.add(area, name, Verdict::Ok, detail, None);
    }

    fn warning(
        &mut self,
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        way_out: impl Into<String>,
    ) {
        self.add(area, name, Verdict::Warning, detail, Some(way_out.into()));
    }

    fn problem(
        &mut self,
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        way_out: impl Into<String>,
    ) {
        self.add(area, name, Verdict::Problem, detail, Some(way_out.into()));
    }

    /// A setting that is missing or invalid.
    fn setting(&mut self, area: &'static str, name: &str, error: &ConfigError) {
        match error {
            ConfigError::Missing { key, way_out } => {
                let detail = format!("not configured: {key}");
                self.add(area, name, Verdict::NotConfigured, detail, Some(way_out.clone()));
            }
            error => {
                self.problem(area, name, error.to_string(), "correct the setting");
            }
        }
    }

    fn count(&self, verdict: Verdict) -> u64 {
        self.0.iter().filter(|check| check.verdict == verdict).count() as u64
    }

    fn end(&self, as_json: bool) -> Exit {
        let (problems, missing) =
            (self.count(Verdict::Problem), self.count(Verdict::NotConfigured));
        let healthy = problems + missing == 0;
        if as_json {
            say!("{}", json!({ "healthy": healthy, "checks": self.0 }));
            return Exit::of(healthy);
        }
        for check in &self.0 {
            let verdict = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "PROBLEM",
                Verdict::NotConfigured => "–",
            };
            let detail = text::plain(&check.detail, 500);
            say!("{verdict:<8} {:<9} {:<18} {detail}", check.area, check.name);
            if let Some(way_out) = &check.way_out {
                say!("{:<37} → {}", "", text::plain(way_out, 500));
            }
        }
        match (problems, self.count(Verdict::Warning)) {
            (0, _) if missing > 0 => {
                say!("not ready: {} missing, see above", text::count(missing, "setting"));
            }
            (0, 0) => say!("all is well"),
            (0, warnings) => say!("no problem, {}", text::count(warnings, "warning")),
            (problems, _) => say!("{}, see above", text::count(problems, "problem")),
        }
        Exit::of(healthy)
    }
}

/// The settings do not load.
pub(super) fn without_settings(args: &DoctorArgs, error: &ConfigError) -> Result<Exit> {
    let mut report = Report::default();
    report.problem(
        "settings",
        "load",
        error.to_string(),
        "correct it; config/default.toml explains every key",
    );
    Ok(report.end(args.json))
}

pub(super) async fn run(args: &DoctorArgs, config: &Config) -> Result<Exit> {
    let mut report = Report::default();
    report.ok("settings", "load", "every key is known and has a valid value");
    match config.keys() {
        Ok(_) => report.ok("settings", "keys", "ingest key and admin key are set"),
        Err(error) => report.setting("settings", "keys", &error),
    }
    let mapping = match app::mapping(config) {
        Ok(mapping) => {
            let kinds = mapping.objects().len();
            report.ok("settings", "mapping files", format!("{kinds} object kinds, examples hold"));
            Some(mapping)
        }
        Err(error) => {
            let way_out = "correct the file; `hubferry check` checks only these";
            report.problem("settings", "mapping files", exit::told(&error), way_out);
            None
        }
    };
    let queue = match config.database_url() {
        Ok(_) => postgres::look(config, &mut report).await,
        Err(error) => {
            report.setting(POSTGRES, "reachable", &error);
            None
        }
    };
    match (config.hubspot(), mapping) {
        (Err(error), _) => report.setting("hubspot", "token", &error),
        (Ok(_), None) => {}
        (Ok(settings), Some(mapping)) => {
            let client = Client::new(settings)?;
            let version = client.version().clone();
            let remembered = match &queue {
                Some(queue) => queue.account().await?.hubspot_portal_id,
                None => None,
            };
            let look = hubspot::Look { version, mapping: &mapping, config, remembered };
            // With the queue at hand its calls are counted in the shared quota.
            match &queue {
                Some(queue) => {
                    let stop = CancellationToken::new();
                    let live = Live::new(queue.clone(), config.base(&mapping, false)?);
                    // Without the table of a newer version the settings of this machine hold.
                    let _ = live.reload().await;
                    let learns = config.hubspot.learn_limits;
                    let permits = Permits::new(queue.clone(), client, live, learns, "doctor", stop);
                    look.run(&permits, &mut report).await;
                }
                None => look.run(&client, &mut report).await,
            }
        }
    }
    if let Some(queue) = &queue {
        let _ = tokio::time::timeout(Duration::from_secs(2), queue.pool().close()).await;
    }
    Ok(report.end(args.json))
}
