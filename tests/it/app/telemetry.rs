//! What the process keeps of itself.

use std::time::Duration;

use hubferry::app::upkeep::sort_metrics;
use hubferry::queue::Queue;
use hubferry::telemetry::start_metrics;
use hubferry::worker::background::Driver;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

/// Memory of this process, in bytes.
fn memory() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: i64 = pages.split(' ').nth(1).expect("resident").parse().expect("a number");
    pages * 4_096
}

/// Says that this process is the one that measures itself.
const ALONE: &str = "HUBFERRY_TEST_ALONE";

/// In a process of its own, since the memory of this one is that of all tests.
#[tokio::test]
async fn samples_do_not_pile_up_where_nobody_asks_for_the_metrics() {
    #[expect(clippy::disallowed_methods, reason = "said by this test itself")]
    if std::env::var_os(ALONE).is_some() {
        return measure().await;
    }
    let this = std::env::current_exe().expect("a path");
    let mut alone = tokio::process::Command::new(this);
    let module = module_path!().split_once("::").expect("a module of this crate").1;
    let name = format!("{module}::samples_do_not_pile_up_where_nobody_asks_for_the_metrics");
    alone.args(["--exact", &name, "--nocapture"]).env(ALONE, "1").kill_on_drop(true);
    let output = alone.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn measure() {
    let metrics = start_metrics().expect("metrics");
    let stop = CancellationToken::new();
    let every = Duration::from_millis(2);
    // Nobody answers there: the samples are sorted without a database too.
    let nowhere = PgPoolOptions::new().acquire_timeout(Duration::from_millis(1));
    let nowhere = nowhere.connect_lazy("postgres://nobody@127.0.0.1:1/none").expect("a pool");
    let driver = Driver::new(&Queue::new(nowhere), "this", &stop);
    let keeping = tokio::spawn(driver.drive(sort_metrics(metrics.clone(), every)));
    let histogram = metrics::histogram!("samples_of_a_test");
    let before = memory();
    // Together 80 MB and more.
    for _ in 0..100 {
        histogram.record_many(0.02, 100_000);
        tokio::time::sleep(every * 2).await;
    }
    let grown = memory() - before;
    stop.cancel();
    keeping.await.expect("an end");
    assert!(grown < 40 * 1024 * 1024, "{grown} bytes");
    let text = metrics.render();
    assert!(text.contains("samples_of_a_test_count 10000000"), "none is lost: {text}");
}
