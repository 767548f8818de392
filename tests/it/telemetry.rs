//! What the process keeps of itself.

use std::time::Duration;

use hubferry::telemetry::{keep_up, start_metrics};
use tokio_util::sync::CancellationToken;

/// Memory of this process, in bytes.
fn memory() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: i64 = pages.split(' ').nth(1).expect("resident").parse().expect("a number");
    pages * 4_096
}

#[tokio::test]
async fn samples_do_not_pile_up_where_nobody_asks_for_the_metrics() {
    let metrics = start_metrics().expect("metrics");
    let stop = CancellationToken::new();
    let every = Duration::from_millis(2);
    let keeping = tokio::spawn(keep_up(metrics.clone(), every, stop.clone()));
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
