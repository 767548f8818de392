//! `hubferry check`: checks settings and mapping files offline.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::app;
use crate::cli::exit::Exit;
use crate::cli::out::say;
use crate::config::Config;

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(args: &CheckArgs, config: &Config) -> Result<Exit> {
    let mapping = app::mapping(config)?;
    config.base(&mapping, false)?;
    let kinds: Vec<&str> = mapping.objects().iter().map(|o| o.sync_type.as_str()).collect();
    let types = mapping.event_types();
    let missing: Vec<String> = [
        config.database_url().err().map(|e| e.to_string()),
        config.keys().err().map(|e| e.to_string()),
        config.hubspot().err().map(|e| e.to_string()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if args.json {
        say!("{}", json!({ "objects": kinds, "event_types": types, "missing_for_serve": missing }));
        return Ok(Exit::Done);
    }
    say!("settings and mapping files are valid, and the examples pass");
    say!("objects      {}", kinds.join(", "));
    say!("event types  {}", types.join(", "));
    for line in missing {
        say!("serve needs  {line}");
    }
    Ok(Exit::Done)
}
