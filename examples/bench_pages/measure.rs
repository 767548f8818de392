//! Asking for pages, alone and in a crowd, and what the times of it say.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A page to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// As it is listed.
    pub(crate) name: &'static str,
    /// Path and query.
    pub(crate) path: String,
    /// What it may take alone.
    pub(crate) aim: Duration,
}

/// The server's pages.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    http: reqwest::Client,
    url: String,
    key: &'static str,
    session: String,
}

impl Pages {
    /// Signs in, for the pages; the API takes the key.
    pub(crate) async fn new(url: String, key: &'static str) -> Result<Self> {
        hubferry::hubspot::client::install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(90))
            .build()?;
        let form = http.post(format!("{url}/admin/sign-in")).body(format!("key={key}"));
        let kind = "application/x-www-form-urlencoded";
        let form = form.header("content-type", kind).header("origin", &url);
        let reply = form.send().await?;
        let cookie = reply.headers().get("set-cookie").and_then(|v| v.to_str().ok());
        let cookie = cookie.and_then(|c| c.split(';').next()).map(str::to_owned);
        let session = cookie.with_context(|| format!("no session: {}", reply.status()))?;
        Ok(Self { http, url, key, session })
    }

    /// Asks for `page` and reads all of it.
    pub(crate) async fn ask(&self, page: &Page) -> Result<(Duration, u16)> {
        let started = Instant::now();
        let url = format!("{}{}", self.url, page.path);
        let request = self.http.get(url).bearer_auth(self.key).header("cookie", &self.session);
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        reply.bytes().await?;
        Ok((started.elapsed(), status))
    }
}

/// The times of one page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    all: Vec<Duration>,
    failed: usize,
}

impl Times {
    pub(crate) fn add(&mut self, (time, status): (Duration, u16)) {
        self.all.push(time);
        self.failed += usize::from(status != 200);
    }

    /// The time that this part of the requests did not exceed.
    pub(crate) fn part(&self, part: f64) -> Duration {
        let mut all = self.all.clone();
        all.sort_unstable();
        let place = (all.len() as f64 * part).ceil() as usize;
        all.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(crate) fn asked(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.all.extend(&other.all);
        self.failed += other.failed;
        self
    }
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// `clients` people click through `pages` until `until`, with one to three seconds to read each.
pub(crate) async fn crowd(
    client: &Pages,
    pages: &[Page],
    clients: usize,
    until: Instant,
) -> Result<Vec<Times>> {
    let mut people = tokio::task::JoinSet::new();
    for number in 0..clients {
        let (client, pages) = (client.clone(), pages.to_vec());
        people.spawn(async move {
            let mut times = vec![Times::default(); pages.len()];
            // They do not all come in the same moment.
            tokio::time::sleep(Duration::from_millis(number as u64 * 7 % 2_000)).await;
            let mut click = number;
            while Instant::now() < until {
                let place = click % pages.len();
                let answer = client.ask(&pages[place]).await;
                // A lost connection is a failure that took as long as anybody waits.
                times[place].add(answer.unwrap_or((Duration::from_secs(90), 0)));
                click += 1;
                let reading = 1_000 + (click * 37 + number * 101) % 2_000;
                tokio::time::sleep(Duration::from_millis(reading as u64)).await;
            }
            times
        });
    }
    let mut all = vec![Times::default(); pages.len()];
    while let Some(person) = people.join_next().await {
        all = all.into_iter().zip(&person?).map(|(all, times)| all.and(times)).collect();
    }
    Ok(all)
}

/// The machine and the build, on a line.
pub(crate) fn machine() -> String {
    let read = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        let value = line.and_then(|l| Some(l.split_once(':')?.1.trim().to_owned()));
        value.unwrap_or_else(|| "unknown".into())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let build = if cfg!(debug_assertions) { "development build" } else { "release build" };
    format!(
        "{cores} cores ({}), memory {}, {build}",
        read("/proc/cpuinfo", "model name"),
        read("/proc/meminfo", "MemTotal")
    )
}
