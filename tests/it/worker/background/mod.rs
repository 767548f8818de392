//! Background tasks: each on its own clock, stored, shown, told when they fail, and tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use hubferry::queue::upkeep::tasks::{TaskInfo, TaskRun};
use hubferry::worker::background::{Done, Driver, Job, RunsOn, Task, TaskError};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;

use crate::support::World;
use crate::support::binary::Server;

const TEXTS: (&str, &str) = ("Does what a test wants", "The test waits");

/// The tasks that every process has.
const EVERY: [&str; 2] = ["metrics", "settings"];
/// The tasks of a process that sends: those of each process, and those of one at a time.
const EACH: [&str; 7] =
    ["account", "definitions", "gates", "leases", "links", "stranded", "totals"];
const ONE: [&str; 4] = ["audit_log", "call_log", "erasures", "retention"];

/// Waits for something that another process or task does.
async fn until<T>(mut there: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        if let Some(found) = there().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within a minute");
    }
}

/// The tasks of the status of this name.
async fn shown(world: &World, name: &str) -> Vec<Value> {
    let status = world.get("/status").await;
    let tasks = status["tasks"].as_array().expect("the tasks").iter();
    tasks.filter(|task| task["name"] == name).cloned().collect()
}

async fn execute(world: &World, statement: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(world.queue.pool());
    done.await.expect("a statement");
}

/// Counts its runs.
struct Count(Arc<AtomicU32>);

impl Job for Count {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let runs = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Done::new(format!("run {runs}")))
        })
    }
}

/// Never ends.
struct Hang;

impl Job for Hang {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn every_process_shows_the_tasks_of_all_and_a_stopped_one_takes_its_own_along() {
    let world = World::new().await;
    let first = Server::start(&world.database, &world.hubspot_url, &[]).await;
    let second = Server::start(&world.database, &world.hubspot_url, &[]).await;
    // The world's own server has no workers.
    let rows = until(async || {
        let status = world.get("/status").await;
        let tasks = status["tasks"].as_array().expect("the tasks").clone();
        let ran = tasks.iter().filter(|task| !task["last_run_at"].is_null()).count();
        (ran == 2 * (EVERY.len() + EACH.len()) + ONE.len()).then_some(tasks)
    })
    .await;
    let mut processes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for task in &rows {
        let name = task["name"].as_str().expect("a name");
        processes.entry(name).or_default().insert(task["process"].as_str().expect("a process"));
        assert!(task["last_error"].is_null() && task["last_duration_ms"].is_i64(), "{task}");
        for text in ["description", "impact", "last_result"] {
            assert!(task[text].as_str().is_some_and(|text| !text.is_empty()), "{task}");
        }
        let leads = ONE.contains(&name);
        assert_eq!(task["runs_on"], if leads { "leader" } else { "everywhere" }, "{task}");
    }
    for (name, processes) in &processes {
        assert_eq!(processes.len(), if ONE.contains(name) { 1 } else { 2 }, "{name}");
    }
    let retention = shown(&world, "retention").await;
    assert_eq!((retention.len(), &retention[0]["period_seconds"]), (1, &600.into()));
    // Together they have run each task of one process once.
    let mut runs = 0.0;
    for server in [&first, &second] {
        let text = world.http.get(format!("{}/metrics", server.url)).send().await;
        let text = text.expect("a reply").text().await.expect("the metrics");
        let name = "hubferry_background_task_runs_total{task=\"call_log\",result=\"ok\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        runs += line.map_or(0.0, |count| count.parse::<f64>().expect("a number"));
        assert!(text.contains("hubferry_background_task_last_success_timestamp_seconds{task="));
    }
    assert!((runs - 1.0).abs() < f64::EPSILON, "{runs} runs");
    assert!(second.terminate().await.success());
    assert_eq!(shown(&world, "totals").await.len(), 1, "of the one that runs");
    assert!(first.terminate().await.success());
    let status = world.get("/status").await;
    let left = status["tasks"].as_array().expect("the tasks").iter();
    let left: Vec<&str> = left.map(|task| task["name"].as_str().expect("a name")).collect();
    assert_eq!(left, ONE, "those of one process at a time are late when none is there");
}

#[tokio::test]
async fn a_task_that_fails_is_told_once_shown_and_tried_again_until_it_works() {
    let world = World::new().await;
    let server = Server::start(&world.database, &world.hubspot_url, &[]).await;
    until(async || shown(&world, "totals").await.pop()).await;
    // Of all that hubferry does, only the upkeep of the charts deletes there.
    execute(
        &world,
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'the disk is broken'; END $$;
         CREATE TRIGGER broken BEFORE DELETE ON pulse FOR EACH STATEMENT EXECUTE FUNCTION broken()",
    )
    .await;
    let failed = until(async || {
        shown(&world, "totals").await.pop().filter(|task| !task["last_error"].is_null())
    })
    .await;
    let error = failed["last_error"].as_str().expect("an error");
    assert!(error.contains("the disk is broken"), "{failed}");
    assert_eq!(failed["last_result"], "done", "what it did last stays");
    // It goes on trying, and says so once.
    until(async || {
        let text = world.http.get(format!("{}/metrics", server.url)).send().await;
        let text = text.expect("a reply").text().await.expect("the metrics");
        let name = "hubferry_background_task_runs_total{task=\"totals\",result=\"error\"} ";
        let count = text.lines().find_map(|line| line.strip_prefix(name)?.parse::<u32>().ok());
        count.filter(|count| *count >= 3)
    })
    .await;
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("\"task\":\"totals\""));
    let told: Vec<&str> = told.filter(|line| line.contains("WARN")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the disk is broken"), "{told:?}");
    assert!(shown(&world, "leases").await[0]["last_error"].is_null(), "the others go on");
    execute(&world, "DROP TRIGGER broken ON pulse").await;
    until(async || shown(&world, "totals").await.pop().filter(|task| task["last_error"].is_null()))
        .await;
    assert!(server.log().contains("a background task works again"), "{}", server.log());
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_task_of_one_process_at_a_time_is_taken_over_when_its_process_is_gone() {
    let world = World::new().await;
    let queue = &world.queue;
    let (hour, minute) = (TimeDelta::hours(1), TimeDelta::minutes(1));
    let task = TaskInfo {
        name: "a_test",
        description: TEXTS.0,
        impact: TEXTS.1,
        period: hour,
        everywhere: false,
    };
    let lease = async |process: &str| {
        let now = queue.now().await.unwrap();
        queue.lease_task(&task, process, now + minute, now).await.unwrap()
    };
    let store = async |process: &str, result: &str| {
        let at = queue.now().await.unwrap();
        let (took, result) = (TimeDelta::zero(), Ok(result.to_owned()));
        let run = TaskRun { at, took, result, next: at + hour };
        queue.store_task_run(&task, process, &run).await.unwrap();
    };
    assert!(lease("one").await && !lease("two").await, "one at a time");
    store("one", "of one").await;
    assert!(!lease("one").await && !lease("two").await, "not before its time");
    world.advance(hour);
    assert!(lease("two").await && !lease("one").await);
    world.advance(minute);
    assert!(lease("one").await, "the other is gone");
    store("two", "late").await;
    assert!(!lease("two").await, "it runs elsewhere");
    store("one", "of one again").await;
    assert_eq!(shown(&world, "a_test").await[0]["last_result"], "of one again");
    world.advance(hour);
    assert!(lease("two").await);
    queue.leave_task(&task, "one").await.unwrap();
    assert!(!lease("one").await, "nobody ends the lease of another");
    queue.leave_task(&task, "two").await.unwrap();
    assert!(lease("one").await, "a run that a shutdown interrupts is made up for");
}

#[tokio::test]
async fn a_task_that_hangs_holds_up_no_other() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let driver = Driver::new(&world.queue, "a-process", &stop);
    let runs = Arc::new(AtomicU32::new(0));
    let second = Duration::from_millis(10);
    let hang = Task::new("a_hang", TEXTS, second, RunsOn::Leader, Hang);
    let count = Task::new("a_count", TEXTS, second, RunsOn::Everywhere, Count(Arc::clone(&runs)));
    let tasks = [hang, count].map(|task| tokio::spawn(driver.clone().drive(task)));
    until(async || (runs.load(Ordering::SeqCst) >= 3).then_some(())).await;
    stop.cancel();
    for task in tasks {
        task.await.expect("an end");
    }
    assert!(shown(&world, "a_count").await.is_empty(), "it has left with its process");
}
