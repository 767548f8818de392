//! `hubferry setup`: prepares the HubSpot account.

use anyhow::Result;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::cli::exit::{self, Exit};
use crate::cli::out::say;
use crate::cli::text;
use crate::config::Config;
use crate::hubspot::client::Sender;
use crate::hubspot::setup::{Finding, State, setup};
use crate::hubspot::{Client, Failure};
use crate::portals::Permits;
use crate::settings::Live;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry setup --check\n  hubferry setup\n\nNeeds HUBSPOT_API_KEY. With DATABASE_URL its calls count in the quota that running servers share."
)]
pub(in crate::cli) struct SetupArgs {
    /// Only report; exit with code 1 if something is missing
    #[arg(long)]
    check: bool,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: &SetupArgs, config: &Config) -> Result<Exit> {
    let mapping = app::mapping(config)?;
    let client = Client::new(config.hubspot()?)?;
    let version = client.version().clone();
    // With a database its calls are counted in the quota that running servers share.
    let findings = match config.database_url() {
        Ok(_) => {
            let queue = app::open_queue(config, app::connect_options(config)?).await?;
            let stop = CancellationToken::new();
            let live = Live::new(queue.clone(), config.base(&mapping, false)?);
            live.reload().await?;
            let grows = config.hubspot.learn_limits;
            let permits = Permits::new(queue, client, live, grows, "setup", stop);
            setup(&permits, &version, &mapping, args.check).await
        }
        Err(_) => setup(&client, &version, &mapping, args.check).await,
    }
    .map_err(|failure| told(&failure))?;
    if args.json {
        say!("{}", serde_json::to_string(&findings)?);
    } else {
        print(&findings);
    }
    let open = findings.iter().any(|f| matches!(f.state, State::Missing | State::Wrong));
    Ok(Exit::of(!open))
}

fn print(findings: &[Finding]) {
    for finding in findings {
        let state = match finding.state {
            State::Present => "present",
            State::Created => "created",
            State::Missing => "MISSING",
            State::Wrong => "WRONG",
        };
        say!("{state:<8} {:<8} {:<9} {}", finding.object, finding.kind, finding.name);
        if let Some(hint) = &finding.hint {
            say!("         {hint}");
        }
    }
    let open = findings.iter().filter(|f| matches!(f.state, State::Missing | State::Wrong)).count();
    match open {
        0 => say!("the account is ready"),
        n => say!("{} left to do, see above", text::count(n as u64, "thing")),
    }
}

pub(in crate::cli) fn told(failure: &Failure) -> anyhow::Error {
    let hint = failure.hint.as_deref().map(|h| format!("; {h}")).unwrap_or_default();
    let message = format!("HubSpot refused a call ({}): {}{hint}", failure.code, failure.message);
    exit::error(exit::of_failure(failure), message)
}

/// Makes an account ready through `sender`, for the demo.
pub(in crate::cli) async fn prepare(
    sender: &impl Sender,
    config: &Config,
    client: &Client,
) -> Result<usize> {
    let mapping = app::mapping(config)?;
    let findings =
        setup(sender, client.version(), &mapping, false).await.map_err(|failure| told(&failure))?;
    Ok(findings.iter().filter(|f| f.state == State::Created).count())
}
