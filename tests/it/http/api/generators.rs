//! The OpenAPI document as others use it: a linter finds no error in it, and the clients that
//! generators make of it compile.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::support::World;

/// Where `scripts/install-openapi-tools.sh` puts the tools; `None` where they are not installed.
fn tools() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/openapi");
    if home.join("installed").exists() {
        return Some(home);
    }
    assert!(
        std::env::var_os("HUBFERRY_REQUIRE_OPENAPI").is_none(),
        "HUBFERRY_REQUIRE_OPENAPI is set, and the tools are not in {}: make test-tools",
        home.display()
    );
    println!("skipped: no linter and generators in {}", home.display());
    None
}

async fn run(place: &Path, program: PathBuf, args: &[&str]) {
    let mut command = Command::new(&program);
    command.current_dir(place).args(args).env("REDOCLY_TELEMETRY", "off").env("CI", "true");
    let output = command.output().await.unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{} {args:?}: {}{}",
        program.display(),
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[tokio::test]
async fn a_linter_finds_no_error_and_generated_clients_compile() {
    let Some(tools) = tools() else { return };
    let world = World::new().await;
    let reply = world.http.get(format!("{}/openapi.json", world.url)).send().await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    std::fs::write(place.join("openapi.json"), reply.bytes().await.unwrap()).unwrap();

    let node = |name: &str| tools.join("node_modules/.bin").join(name);
    run(place, node("redocly"), &["lint", "--extends=recommended", "openapi.json"]).await;

    run(place, node("openapi-typescript"), &["openapi.json", "-o", "client.ts"]).await;
    let usage = "import type { paths, components } from \"./client\";\n\
        type Body = paths[\"/v1/events\"][\"post\"][\"requestBody\"][\"content\"][\"application/json\"];\n\
        const event: components[\"schemas\"][\"EventBody\"] =\n\
          { type: \"user.updated\", subject: \"u-1\", data: { email: \"a@example.com\" } };\n\
        export const one: Body = event;\n\
        export const many: Body = [event, event];\n";
    std::fs::write(place.join("usage.ts"), usage).unwrap();
    run(place, node("tsc"), &["--noEmit", "--strict", "client.ts", "usage.ts"]).await;

    let python = |name: &str| tools.join("python/bin").join(name);
    let make = ["generate", "--path", "openapi.json", "--meta", "none"];
    let make = [&make[..], &["--output-path", "client"]].concat();
    run(place, python("openapi-python-client"), &make).await;
    let usage = "from client.models import EventBody\n\
        from client.api.events import post_events\n\
        assert callable(post_events.sync)\n\
        assert EventBody.from_dict({'type': 'user.updated', 'subject': 'u-1', 'data': {}})\n";
    run(place, python("python"), &["-c", usage]).await;
}
