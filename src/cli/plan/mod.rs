//! `hubferry plan`: previews the HubSpot calls for some events, and why. Nothing is sent.

mod calls;
mod gather;
mod server;
mod show;
mod verdict;

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;

use super::exit::Exit;
use super::input::InputArgs;
use super::run::setup;
use super::{clock, out};
use crate::app;
use crate::config::Config;
use crate::hubspot::definitions::{Definitions, definitions};
use crate::hubspot::{Client, paths::Version};
use crate::mapping::Mapping;
use calls::Terms;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry plan events.ndjson\n  hubferry plan users.csv --type user.updated --subject id\n  hubferry plan events.ndjson --account\n  hubferry plan events.ndjson --url http://127.0.0.1:8080\n  hubferry plan events.ndjson --json | jq .calls\n\nOffline, with the mapping files of the settings and as if HubSpot had none of the records: every call\nwith its body, in the order in which it is made, where {id of contact u-1} stands for the id that\nHubSpot answers; then, event by event, whether each value is sent, and why not. With --account the values\nare adapted to the account's properties, as for a real call. With --url the server also says what it would\nsend, given what HubSpot has already. At most 10,000 events. Exit code 1 when an event would\nbe refused."
)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Read the properties and stages of the HubSpot account (HUBSPOT_API_KEY) and adapt values to them
    #[arg(long)]
    account: bool,
    /// Also ask this server what it would send, given what HubSpot has
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The server's admin key
    #[arg(long, value_name = "KEY", env = "HUBFERRY_ADMIN_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print calls and verdicts as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &PlanArgs, config: &Config) -> Result<Exit> {
    let mapping = app::mapping(config)?;
    // The paths are the account's; no token is needed to word them.
    let version: Version =
        config.hubspot.api_version.parse().map_err(|e: String| super::exit::wrong(e))?;
    let definitions = if args.account { account(config, &mapping).await? } else { BTreeMap::new() };
    let items = gather::items(&args.input)?;
    let mut gathered = gather::gather(items, &mapping, config, clock::now());
    let namespace = config.fixed().namespace;
    let terms = Terms {
        mapping: &mapping,
        version: &version,
        namespace: namespace.as_deref(),
        definitions: &definitions,
    };
    let lines = calls::lines(std::mem::take(&mut gathered.records), &terms);
    let calls = calls::calls(&lines, &terms);
    let judged = verdict::judge(&lines, &gathered);
    let held = match &args.url {
        Some(url) => Some(server::ask(url, args.key.clone(), config, &gathered.events).await?),
        None => None,
    };
    let plan = show::Plan {
        calls: &calls,
        judged: &judged,
        gathered: &gathered,
        held: held.as_ref(),
        fitted: args.account,
    };
    let text = if args.json { plan.json() } else { plan.text() };
    // The reader may have stopped reading, as `head` does.
    out::print(format_args!("{text}"));
    Ok(Exit::of(gathered.refused.is_empty()))
}

/// The property definitions of the account, by object kind.
async fn account(config: &Config, mapping: &Mapping) -> Result<BTreeMap<String, Definitions>> {
    let client = Client::new(config.hubspot()?)?;
    let version = client.version().clone();
    let mut kinds = BTreeMap::new();
    for object in mapping.objects() {
        let read = definitions(&client, &version, mapping, object).await;
        kinds.insert(object.sync_type.clone(), read.map_err(|failure| setup::told(&failure))?);
    }
    Ok(kinds)
}
