//! A real browser for the tests: one process for the whole run, one fresh profile for each visit.
//!
//! Chromium is looked for in `CHROMIUM` and on the search path. Where there is none the tests say
//! so and pass, unless `HUBFERRY_REQUIRE_BROWSER` is set.

mod axe;
mod cdp;
mod faults;
mod find;
mod keys;
mod tab;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chromiumoxide::browser::Browser;
use chromiumoxide::handler::HandlerConfig;
use futures_util::{FutureExt, StreamExt};

use super::World;
pub use tab::{Screen, Tab};

/// How long anything may take to appear.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long one visit may take in all.
const VISIT: Duration = Duration::from_secs(300);
const START: Duration = Duration::from_secs(60);

/// Names under which the browser is installed.
const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
const MAC: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// Holds the browser until its standard input ends, which it does with this process, however that
/// ends. Then the whole group goes, and the profile with it.
const KEEPER: &str = r#"
profile=$1; shift
"$@" >"$profile/log" 2>&1 </dev/null &
browser=$!
read -r _
trap '' TERM
kill -TERM 0
n=0
while kill -0 $browser 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
rm -rf "$profile"
kill -KILL 0
"#;

/// The running browser. The keeper's standard input stays open as long as this lives.
struct Running {
    browser: Browser,
    _keeper: Child,
}

/// Whether the tests may do without a browser.
pub fn required() -> bool {
    std::env::var_os("HUBFERRY_REQUIRE_BROWSER").is_some_and(|value| !value.is_empty())
}

/// The programme, if there is one.
fn programme() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "CHROMIUM is {}, which is no file", named.display());
        return Some(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let on_path = NAMES.iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
    on_path.chain(MAC.iter().map(PathBuf::from)).find(|file| file.is_file() && !is_snap(file))
}

/// A snap has a folder for temporary files of its own and could not see the profile.
fn is_snap(file: &Path) -> bool {
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let wrapper = std::fs::read(&real).unwrap_or_default();
    let wrapper = &wrapper[..wrapper.len().min(4_096)];
    real.starts_with("/snap")
        || real.ends_with("bin/snap")
        || wrapper.windows(10).any(|part| part == b"/snap/bin/")
}

/// The browser of this run, started with its first use.
async fn running() -> Option<&'static Running> {
    static RUNNING: tokio::sync::OnceCell<Option<Running>> = tokio::sync::OnceCell::const_new();
    RUNNING.get_or_init(start).await.as_ref()
}

async fn start() -> Option<Running> {
    static TRIED: AtomicBool = AtomicBool::new(false);
    assert!(!TRIED.swap(true, Ordering::SeqCst), "the browser does not start, as said before");
    let programme = programme()?;
    let profile = tempfile::Builder::new().prefix("hubferry-browser-").tempdir().expect("a folder");
    let profile = profile.keep();
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "keeper"]).arg(&profile).arg(&programme);
    command.args([
        "--headless=new",
        "--remote-debugging-port=0",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-dev-shm-usage",
        "--disable-extensions",
        "--disable-features=Translate,MediaRouter,OptimizationHints",
        "--disable-gpu",
        "--disable-sync",
        "--force-color-profile=srgb",
        "--hide-scrollbars",
        "--lang=en-GB",
        "--metrics-recording-only",
        "--mute-audio",
        "--no-proxy-server",
        "--password-store=basic",
        "--use-mock-keychain",
        "--window-size=1280,800",
    ]);
    // Its sandbox refuses to start for root and where user namespaces are closed. All that it shows
    // here is our own.
    if cfg!(target_os = "linux") {
        command.arg("--no-sandbox");
    }
    command.arg(format!("--user-data-dir={}", profile.display())).arg("about:blank");
    command
        .env("LANGUAGE", "en_GB")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let keeper = command.spawn().expect("a shell");

    let address = address(&profile, &programme).await;
    let (give, take) = tokio::sync::oneshot::channel();
    // A thread of its own: every test has a runtime that ends with it.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let config = HandlerConfig { viewport: None, ..HandlerConfig::default() };
            let (browser, mut handler) =
                Browser::connect_with_config(address, config).await.expect("the browser answers");
            give.send(browser).ok();
            while handler.next().await.is_some() {}
        });
    });
    Some(Running { browser: take.await.expect("a browser"), _keeper: keeper })
}

/// Where the browser listens, which it writes into its profile.
async fn address(profile: &Path, programme: &Path) -> String {
    let end = Instant::now() + START;
    loop {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        let mut lines = text.lines();
        if let (Some(port), Some(path)) = (lines.next(), lines.next()) {
            return format!("ws://127.0.0.1:{port}{path}");
        }
        let log = std::fs::read_to_string(profile.join("log")).unwrap_or_default();
        assert!(Instant::now() < end, "{} does not start: {log}", programme.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Visits the dashboard of `world` on a screen, and fails if the browser had anything to complain
/// about that the visit did not expect. One visit at a time: a machine with two cores has no more
/// to give.
pub async fn visit(world: &World, screen: Screen, deeds: impl AsyncFnOnce(&Tab)) {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    let Some(running) = running().await else {
        let way = "install Chromium or name one in CHROMIUM";
        assert!(!required(), "HUBFERRY_REQUIRE_BROWSER is set, and there is no browser: {way}");
        static SAID: OnceLock<()> = OnceLock::new();
        SAID.get_or_init(|| println!("no browser here, its tests are skipped: {way}"));
        return;
    };
    let tab = Tab::open(&running.browser, &world.url, screen).await;
    let deeds = tokio::time::timeout(VISIT, deeds(&tab));
    let outcome = AssertUnwindSafe(deeds).catch_unwind().await;
    if !matches!(outcome, Ok(Ok(()))) {
        tab.keep_evidence().await;
    }
    let faults = tab.close(&running.browser).await;
    match outcome {
        Ok(done) => done.expect("the visit ends in time"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
    assert!(faults.is_empty(), "the browser complained:\n{}", faults.join("\n"));
}
