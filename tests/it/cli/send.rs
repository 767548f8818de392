//! `send`: every format, refusals by line, interruptions, and the bound of a backfill.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Child;

use super::proxy::{Act, Proxy};
use super::{Said, command, finish, run};
use crate::support::{INGEST_KEY, SAMPLES, World, user};

/// A folder for files and for the journal.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn state(&self) -> String {
        self.path("state").to_str().unwrap().to_owned()
    }

    /// `hubferry send` to `url` with `args`.
    pub(super) fn spawn(&self, url: &str, args: &[&str]) -> Child {
        let args: Vec<&str> = ["send"].iter().chain(args).copied().collect();
        let state = self.state();
        let environment = [
            ("HUBFERRY_URL", url),
            ("HUBFERRY_INGEST_KEY", INGEST_KEY),
            ("XDG_STATE_HOME", &state),
        ];
        command(&args, &environment).spawn().unwrap()
    }

    async fn send(&self, url: &str, args: &[&str]) -> Said {
        finish(self.spawn(url, args)).await
    }

    /// Files that the journal left behind.
    fn journals(&self) -> usize {
        std::fs::read_dir(self.path("state").join("hubferry")).map_or(0, Iterator::count)
    }
}

async fn stored(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM event").fetch_one(world.queue.pool()).await.unwrap()
}

async fn open_rows(world: &World) -> i64 {
    let open = "SELECT count(*) FROM sync_queue WHERE status IN ('pending', 'retry')";
    sqlx::query_scalar(open).fetch_one(world.queue.pool()).await.unwrap()
}

/// So many updates of so many users, each with a time.
pub(super) fn users(count: usize) -> String {
    (0..count)
        .map(|n| {
            let data = json!({ "email": format!("u{n}@example.com"), "first_name": "Ada" });
            let mut event = user("", &format!("u-{n}"), "2026-01-01T10:00:00Z", data);
            event.as_object_mut().unwrap().remove("id");
            format!("{event}\n")
        })
        .collect()
}

fn summary(said: &Said) -> (u64, u64, u64, u64) {
    let body: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    let number = |key: &str| body[key].as_u64().unwrap();
    (number("sent"), number("accepted"), number("duplicates"), number("refused"))
}

#[tokio::test]
async fn every_format_arrives_and_the_same_file_again_doubles_nothing() {
    let (world, place) = (World::new().await, Place::new());
    let array: Vec<Value> = SAMPLES.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let csv = "id,type,subject,time,email,address.city,first_name\n\
               c-1,user.created,u-5,2026-01-01T10:00:00Z,a@example.com,Paris,\"Ada,\n B\"\n\
               c-2,user.updated,u-5,2026-01-02T10:00:00Z,b@example.com,,Ada\n";
    let files = [
        (place.file("a.ndjson", SAMPLES), 7),
        (place.file("a.json", serde_json::to_string_pretty(&array).unwrap()), 7),
        (place.file("one.json", serde_json::to_string_pretty(&array[0]).unwrap()), 1),
        (place.file("sniffed", SAMPLES), 7),
        (place.file("b.csv", csv), 2),
    ];
    let mut known = 0;
    for (file, events) in &files {
        let said = place.send(&world.url, &[file, "--json"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let (sent, accepted, duplicates, refused) = summary(&said);
        assert_eq!((sent, accepted + duplicates, refused), (*events, *events, 0), "{file}");
        known += accepted;
        let said = place.send(&world.url, &[file, "--json"]).await;
        assert_eq!(summary(&said), (*events, 0, *events, 0), "{file}");
    }
    assert_eq!((known, stored(&world).await), (9, 9));
    assert_eq!(place.journals(), 0, "what is done needs no journal");
    world.drain().await;
    let contact = world.sandbox.objects("contacts");
    let contact = contact.iter().find(|c| c.properties["hubferry_id"] == "u-5").unwrap();
    assert_eq!(contact.properties["email"], "b@example.com");
}

#[tokio::test]
async fn events_without_an_id_get_one_of_their_file_and_place() {
    let (world, place) = (World::new().await, Place::new());
    let monday = place.file("users.ndjson", users(3));
    assert_eq!(summary(&place.send(&world.url, &[&monday, "--json"]).await), (3, 3, 0, 0));
    assert_eq!(summary(&place.send(&world.url, &[&monday, "--json"]).await), (3, 0, 3, 0));
    // The same rows in a file with more of them are what that file says, not yesterday's.
    let tuesday = place.file("more.ndjson", users(4));
    assert_eq!(summary(&place.send(&world.url, &[&tuesday, "--json"]).await), (4, 4, 0, 0));
    let anew = [&monday, "--json", "--run", "again"];
    assert_eq!(summary(&place.send(&world.url, &anew).await), (3, 3, 0, 0));
    assert_eq!(summary(&place.send(&world.url, &anew).await), (3, 0, 3, 0));
}

#[tokio::test]
async fn standard_input_is_repeatable_under_a_name() {
    use tokio::io::AsyncWriteExt as _;
    let (world, place) = (World::new().await, Place::new());
    let send = async |args: &[&str]| {
        let args: Vec<&str> = ["send", "-", "--json"].iter().chain(args).copied().collect();
        let environment = [("HUBFERRY_URL", &*world.url), ("HUBFERRY_INGEST_KEY", INGEST_KEY)];
        let mut command = command(&args, &environment);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(users(3).as_bytes()).await.unwrap();
        drop(input);
        finish(child).await
    };
    let first = send(&[]).await;
    assert_eq!(summary(&first), (3, 3, 0, 0), "{first:?}");
    let name = first.err.split("--run ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(summary(&send(&["--run", name]).await), (3, 0, 3, 0));
    assert_eq!(summary(&send(&["--run", "other"]).await), (3, 3, 0, 0));
    assert_eq!(place.journals(), 0);
}

#[tokio::test]
async fn csv_shows_its_columns_first_and_says_what_is_missing() {
    let (world, place) = (World::new().await, Place::new());
    let csv = "\u{feff}Id;E-mail;City;Note;first_name\nu-7;x@example.com;Lyon;n/a;\n";
    let file = place.file("people.csv", csv);
    let map = ["--map", "E-mail=email", "--map", "City=address.city", "--map", "Note="];
    let said = place.send(&world.url, &[&file]).await;
    assert!(said.code == 2 && said.err.contains("--subject COLUMN"), "{said:?}");
    let said = place.send(&world.url, &[&file, "--subject", "Id"]).await;
    assert!(said.code == 2 && said.err.contains("--type user.updated"), "{said:?}");
    let said = place.send(&world.url, &[&file, "--subject", "No", "--type", "user.updated"]).await;
    assert!(
        said.code == 2 && said.err.contains("no column `No`; there are Id, E-mail"),
        "{said:?}"
    );
    let said = place.send(&world.url, &[&file, "--subject", "Id", "--type", "user"]).await;
    assert!(said.code == 2 && said.err.contains("--type user:"), "{said:?}");
    let twice = ["--map", "City=a", "--map", "Note=a.b"];
    let base = [&*file, "--subject", "Id", "--type", "user.updated"];
    let said = place.send(&world.url, &[&base[..], &twice].concat()).await;
    assert!(said.code == 2 && said.err.contains("has the same target as another one"), "{said:?}");
    assert_eq!(stored(&world).await, 0);

    let said = place.send(&world.url, &[&base[..], &map, &["--empty-is-null"]].concat()).await;
    assert_eq!(said.code, 0, "{said:?}");
    for line in [
        "Id             subject (attribute of the event)",
        "E-mail         data.email",
        "City           data.address.city",
        "Note           nothing: left out",
        "(empty cells)  null, which clears",
    ] {
        assert!(said.err.contains(line), "{line}: {}", said.err);
    }
    let data: Value =
        sqlx::query_scalar("SELECT data FROM event").fetch_one(world.queue.pool()).await.unwrap();
    let wanted =
        json!({ "email": "x@example.com", "address": { "city": "Lyon" }, "first_name": null });
    assert_eq!(data, wanted);
    let said =
        place.send(&world.url, &[&place.file("a.json", "{}"), "--type", "user.updated"]).await;
    assert!(said.code == 2 && said.err.contains("--type is for CSV only"), "{said:?}");
}

/// Good, wrong, no JSON, good, without a subject.
const MIXED: &str = r#"{"type":"user.updated","subject":"u-1","time":"2026-01-01T10:00:00Z","data":{"email":"a@example.com"}}

{"type":"user.created","subject":"u-2","time":"2026-01-01T10:00:00Z","data":{"email":"nobody"}}
{"type":
{"type":"user.updated","subject":"u-4","time":"2026-01-01T10:00:00Z","data":{"email":"d@example.com"}}
{"type":"user.updated","time":"2026-01-01T10:00:00Z","data":{}}
"#;

#[tokio::test]
async fn refused_events_are_named_by_line_and_may_be_left_out() {
    let (world, place) = (World::new().await, Place::new());
    let file = place.file("mixed.ndjson", MIXED);
    let said = place.send(&world.url, &[&file, "--json"]).await;
    assert_eq!((said.code, summary(&said)), (1, (1, 0, 0, 1)), "{said:?}");
    assert!(said.err.contains("line 4: not JSON"), "{said:?}");
    assert!(said.err.contains("--skip-invalid"), "{said:?}");
    assert_eq!(stored(&world).await, 0);

    let sound = place.file("sound.ndjson", MIXED.replace("{\"type\":\n", ""));
    let said = place.send(&world.url, &[&sound, "--json"]).await;
    assert_eq!((said.code, summary(&said)), (1, (2, 0, 0, 2)), "{said:?}");
    assert!(
        said.err.contains("line 3: /data/email") && said.err.contains("line 5: /subject"),
        "{said:?}"
    );

    let rejects = place.path("rejects.ndjson");
    let name = rejects.to_str().unwrap();
    let args = [&*file, "--json", "--skip-invalid", "--rejects", name];
    let said = place.send(&world.url, &args).await;
    assert_eq!((said.code, summary(&said)), (1, (5, 2, 0, 3)), "{said:?}");
    assert_eq!(stored(&world).await, 2);
    let refused = lines(&rejects);
    let numbers: Vec<u64> = refused.iter().map(|r| r["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [3, 4, 6]);
    assert_eq!(refused[0]["errors"][0]["pointer"], "/data/email");
    assert_eq!(
        (&refused[0]["event"]["subject"], &refused[1]["text"]),
        (&json!("u-2"), &json!("{\"type\":"))
    );

    // An id that was accepted with another body is a refusal like any other.
    let event =
        |name: &str| user("7", "u-9", "2026-01-01T10:00:00Z", json!({ "first_name": name }));
    world.accept(&event("Ada")).await;
    let other = place.file("other.json", json!([event("Ada"), event("Eve")]).to_string());
    let said = place.send(&world.url, &[&other, "--skip-invalid", "--json"]).await;
    assert_eq!((said.code, summary(&said)), (1, (2, 0, 1, 1)), "{said:?}");
    assert!(said.err.contains("line 1: /id"), "{said:?}");
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_killed_send_goes_on_where_it_was_and_doubles_nothing() {
    let (world, place) = (World::new().await, Place::new());
    // The fourth request is stored, but its answer never comes.
    let proxy = Proxy::start(&world.url, &[None, None, None, Some(Act::Hold)]).await;
    let file = place.file("users.ndjson", users(100));
    let args = [&*file, "--json", "--batch", "10", "--concurrency", "1"];
    let mut child = place.spawn(&proxy.url, &args);
    proxy.holds().await;
    child.kill().await.unwrap();
    assert_eq!((stored(&world).await, place.journals()), (40, 1));
    let said = place.send(&proxy.url, &args).await;
    assert!(said.err.contains("resuming after 30 of 100 events"), "{said:?}");
    assert_eq!((said.code, summary(&said)), (0, (70, 60, 10, 0)), "{said:?}");
    assert_eq!((stored(&world).await, place.journals()), (100, 0));
    // Without the journal it takes longer and doubles nothing either.
    let said = place.send(&proxy.url, &args).await;
    assert_eq!(summary(&said), (100, 0, 100, 0), "{said:?}");
}

#[tokio::test]
async fn ctrl_c_waits_for_what_is_in_flight_and_says_how_to_go_on() {
    let (world, place) = (World::new().await, Place::new());
    let proxy = Proxy::start(&world.url, &[None, Some(Act::Hold)]).await;
    let file = place.file("users.ndjson", users(100));
    let args = [&*file, "--json", "--batch", "10", "--concurrency", "1"];
    let child = place.spawn(&proxy.url, &args);
    proxy.holds().await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = tokio::spawn(finish(child));
    // Released again and again: the signal may be slower than the first time.
    while !ended.is_finished() {
        proxy.release();
        tokio::task::yield_now().await;
    }
    let said = ended.await.unwrap();
    assert_eq!(said.code, 130, "{said:?}");
    assert!(said.err.contains("the same command continues"), "{said:?}");
    let before = stored(&world).await;
    assert!((10..100).contains(&before), "{before}");
    let said = place.send(&proxy.url, &args).await;
    assert_eq!((said.code, stored(&world).await), (0, 100), "{said:?}");
    assert_eq!(summary(&said).2, 0, "what was in flight was waited for: {said:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_and_given_up_in_the_end() {
    let (world, place) = (World::new().await, Place::new());
    let away = [Some(Act::Answer(503)), Some(Act::Answer(429)), Some(Act::Answer(502))];
    let proxy = Proxy::start(&world.url, &away).await;
    let file = place.file("users.ndjson", users(10));
    let said = place.send(&proxy.url, &[&file, "--json"]).await;
    assert_eq!((said.code, summary(&said)), (0, (10, 10, 0, 0)), "{said:?}");
    assert_eq!(proxy.seen().len(), 4);
    let said = place.send("http://127.0.0.1:9", &[&file, "--give-up-after", "1"]).await;
    assert!(said.code == 3 && said.err.contains("does not answer; given up after"), "{said:?}");
    let said = place.send(&world.url, &[&file, "--key", "wrong"]).await;
    assert!(said.code == 4 && said.err.contains("401"), "{said:?}");
    let said = place.send(&world.url, &["/nowhere/at.all"]).await;
    assert!(said.code == 2 && said.err.contains("/nowhere/at.all"), "{said:?}");
}

#[tokio::test]
async fn events_with_the_time_of_their_arrival_go_one_request_after_the_other() {
    let (world, place) = (World::new().await, Place::new());
    let args = ["--json", "--batch", "1", "--concurrency", "4"];
    // The first request is held back until the file could have been sent.
    let proxy = Proxy::start(&world.url, &[Some(Act::Hold)]).await;
    let timed = place.file("timed.ndjson", users(12));
    let child = place.spawn(&proxy.url, &[&[&*timed][..], &args].concat());
    while proxy.seen().len() < 12 {
        tokio::task::yield_now().await;
    }
    proxy.release();
    assert_eq!(finish(child).await.code, 0);
    assert!(proxy.most_at_once() > 1);
    let proxy = Proxy::start(&world.url, &[]).await;
    let text: String = users(12).replace("\"time\":\"2026-01-01T10:00:00Z\",", "");
    let timeless = place.file("timeless.ndjson", text);
    let said = place.send(&proxy.url, &[&[&*timeless][..], &args].concat()).await;
    assert_eq!((said.code, proxy.most_at_once()), (0, 1), "{said:?}");
}

#[tokio::test]
async fn a_backfill_is_never_more_than_its_bound_ahead_of_hubspot() {
    const BOUND: i64 = 20;
    let (world, place) = (World::new().await, Place::new());
    let file = place.file("users.ndjson", users(130));
    let args = [&*file, "--json", "--backfill", "--in-flight", "20", "--wait"];
    let ended = tokio::spawn(finish(place.spawn(&world.url, &args)));
    let mut most = 0;
    while !ended.is_finished() {
        // Only the steps below take rows away, so this is the most since the last of them.
        let waiting = open_rows(&world).await;
        assert!(waiting <= BOUND, "{waiting} rows wait");
        most = most.max(waiting);
        if waiting == BOUND || stored(&world).await == 130 {
            world.drain().await;
        }
    }
    let said = ended.await.unwrap();
    assert_eq!((said.code, summary(&said)), (0, (130, 130, 0, 0)), "{said:?}");
    assert_eq!(most, BOUND, "the bound is used");
    assert_eq!(world.sandbox.objects("contacts").len(), 130);
    let low: i64 = sqlx::query_scalar("SELECT count(*) FROM sync_queue WHERE priority = 2")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert_eq!(low, 130);
}

#[tokio::test]
async fn send_needs_a_key_and_says_so() {
    let said = run(&["send", "-"], &[]).await;
    assert!(said.code == 2 && said.err.contains("HUBFERRY_INGEST_KEY is not set"), "{said:?}");
}
