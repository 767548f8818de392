//! Breaks each promise of `tests/sabotage.toml` on purpose, in a copy of the sources, and shows that
//! the simulation finds it, or the test that is named for it. One that is not found makes the exit
//! code 1.
#![expect(clippy::print_stdout, reason = "it talks to people")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde::Deserialize;

#[derive(Debug, Parser)]
struct Args {
    /// Only promises that contain this
    filter: Option<String>,
    /// Schedules of the simulation for each
    #[arg(long, default_value_t = 1_000)]
    count: u64,
}

#[derive(Debug, Deserialize)]
struct List {
    r#break: Vec<Break>,
}

#[derive(Debug, Deserialize)]
struct Break {
    promise: String,
    file: PathBuf,
    line: String,
    by: String,
    /// The first seed, where the plain schedules before it have nothing of the kind.
    #[serde(default)]
    first: u64,
    /// What the simulation does not come upon, since it moves one thing at a time: the test that does.
    test: Option<String>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list: List = toml::from_str(&std::fs::read_to_string(home.join("tests/sabotage.toml"))?)?;
    let copy = home.join("target/sabotage");
    copy_sources(home, &copy)?;
    println!("| broken on purpose | found by | after |\n|---|---|---|");
    let mut unfound = 0;
    let chosen = |b: &&Break| args.filter.as_ref().is_none_or(|f| b.promise.contains(f.as_str()));
    for sabotage in list.r#break.iter().filter(chosen) {
        let file = copy.join(&sabotage.file);
        let whole = std::fs::read_to_string(home.join(&sabotage.file))?;
        if whole.matches(&sabotage.line).count() != 1 {
            bail!("{}: the line of `{}` is not there once", file.display(), sabotage.promise);
        }
        std::fs::write(&file, whole.replace(&sabotage.line, &sabotage.by))?;
        let started = Instant::now();
        let found = match &sabotage.test {
            Some(test) => named(home, &copy, test)?,
            None => simulate(home, &copy, sabotage.first..sabotage.first + args.count)?,
        };
        std::fs::write(&file, whole)?;
        let took = started.elapsed().as_secs();
        unfound += usize::from(found.is_none());
        let found = found.unwrap_or_else(|| format!("**nothing in {} schedules**", args.count));
        println!("| {} | {found} | {took} s |", sabotage.promise);
    }
    Ok(if unfound == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first seed that fails, if one does.
fn simulate(home: &Path, copy: &Path, seeds: std::ops::Range<u64>) -> Result<Option<String>> {
    let seeds: Vec<String> = seeds.map(|seed| seed.to_string()).collect();
    let mut cargo = tests(home, copy, "simulation::");
    let (passed, said) =
        run(cargo.arg("--nocapture").env("HUBFERRY_SIMULATION_SEEDS", seeds.join(",")))?;
    if passed {
        return Ok(None);
    }
    let failing =
        said.lines().find_map(|line| line.split(" fails (").next()?.strip_prefix("seed "));
    let seed = failing.with_context(|| format!("the simulation did not run:\n{said}"))?;
    Ok(Some(format!("seed {seed}")))
}

/// The test `name`, if it fails.
fn named(home: &Path, copy: &Path, name: &str) -> Result<Option<String>> {
    let (passed, said) = run(&mut tests(home, copy, name))?;
    if passed {
        return Ok(None);
    }
    if !said.contains(&format!("test {name} ... FAILED")) {
        bail!("`{name}` did not run:\n{said}");
    }
    Ok(Some(format!("`{name}`")))
}

fn tests(home: &Path, copy: &Path, filter: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--locked", "--test", "it", filter, "--"])
        .current_dir(copy)
        // Of its own: shared with ours, the broken library would pass for the sound one.
        .env("CARGO_TARGET_DIR", home.join("target/sabotage-build"));
    cargo
}

/// Whether all passed, and what was said.
fn run(cargo: &mut Command) -> Result<(bool, String)> {
    let output = cargo.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), said))
}

/// All that is under version control, and what is new.
fn copy_sources(home: &Path, copy: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(home)
        .output()
        .context("git lists the sources")?;
    for file in String::from_utf8(listed.stdout)?.lines() {
        let (from, to) = (home.join(file), copy.join(file));
        let Ok(new) = std::fs::read(&from) else { continue };
        std::fs::create_dir_all(to.parent().context("a folder")?)?;
        // Left alone where it is the same, so that it is not built again.
        if std::fs::read(&to).is_ok_and(|old| old == new) {
            continue;
        }
        std::fs::write(&to, new)?;
    }
    Ok(())
}
