//! `hubferry completions`: prints the script for command-line completion in a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::exit::Exit;
use crate::cli::out;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry completions bash > /etc/bash_completion.d/hubferry\n  hubferry completions zsh > \"${fpath[1]}/_hubferry\"\n  hubferry completions fish > ~/.config/fish/completions/hubferry.fish"
)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(in crate::cli) fn run(args: &CompletionsArgs) -> Exit {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "hubferry", &mut script);
    out::print(format_args!("{}", String::from_utf8_lossy(&script)));
    Exit::Done
}
