//! The dashboard over HTTP, as a browser without scripts sees it.

mod deeds;
mod doors;
mod look;
mod pages;
mod settings;
mod truths;

use std::cell::RefCell;
use std::collections::BTreeMap;

use chrono::TimeDelta;
use hubferry::access::{NewKey, Role};
use hubferry::http::pages::PAGES;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::support::{ADMIN_KEY, World, event, row_id, user};

/// What a request was answered with.
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The text that people see: no tags, blanks as one.
    pub fn words(&self) -> String {
        let mut out = String::new();
        let mut in_tag = false;
        for c in self.text.chars() {
            match c {
                '<' => in_tag = true,
                '>' => {
                    in_tag = false;
                    out.push(' ');
                }
                c if !in_tag => out.push(c),
                _ => {}
            }
        }
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        self
    }
}

/// A browser with cookies that follows nothing by itself.
pub struct Browser<'w> {
    world: &'w World,
    http: reqwest::Client,
    pub cookies: RefCell<BTreeMap<String, String>>,
}

impl<'w> Browser<'w> {
    pub fn new(world: &'w World) -> Self {
        let none = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(none).build().unwrap();
        Self { world, http, cookies: RefCell::default() }
    }

    pub async fn signed_in(world: &'w World, key: &str) -> Self {
        let browser = Self::new(world);
        let seen = browser.post("/admin/sign-in", &[("key", key)]).await;
        assert_eq!((seen.status, seen.header("location")), (303, "/admin"), "{}", seen.text);
        browser
    }

    /// Signed in with the admin key.
    pub async fn admin(world: &'w World) -> Self {
        Self::signed_in(world, ADMIN_KEY).await
    }

    /// Signed in with a new key of this role.
    pub async fn with_role(world: &'w World, role: Role) -> Self {
        let new = NewKey { name: format!("a {}", role.as_str()), role, expires_at: None };
        let now = world.queue.now().await.unwrap();
        let access = hubferry::access::Access::new(&world.queue, "-", "-");
        let (_, key) = access.make_key(&new, "test", now).await.unwrap();
        Self::signed_in(world, &key).await
    }

    pub async fn get(&self, path: &str) -> Seen {
        self.send(self.http.get(format!("{}{path}", self.world.url))).await
    }

    pub async fn get_with(&self, path: &str, name: &'static str, value: &str) -> Seen {
        self.send(self.http.get(format!("{}{path}", self.world.url)).header(name, value)).await
    }

    /// Posts exactly these fields.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        self.send(self.form(path, fields)).await
    }

    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = reqwest::Url::parse_with_params("http://x", fields).unwrap();
        self.http
            .post(format!("{}{path}", self.world.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned())
    }

    /// Posts these fields with the session's token.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let token = self.token().await;
        let mut all = fields.to_vec();
        all.push(("csrf", &token));
        self.post(path, &all).await
    }

    /// The token that the forms of this session carry.
    pub async fn token(&self) -> String {
        let page = self.get("/admin/errors").await;
        between(&page.text, "name=\"csrf\" value=\"", "\"").expect("a token").to_owned()
    }

    pub async fn send(&self, mut request: reqwest::RequestBuilder) -> Seen {
        let pair = |(name, value): (&String, &String)| format!("{name}={value}");
        let cookies: Vec<String> = self.cookies.borrow().iter().map(pair).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let reply = request.send().await.unwrap();
        for cookie in reply.headers().get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
        }
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Seen { status, headers, text: reply.text().await.unwrap() }
    }
}

/// The text between the first `from` and the next `to`.
pub fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

/// Two users with one address: the first is synced, the second fails and names the first. A third
/// row of a deal waits for what its creation lacks. Answers the numbers of the three rows.
pub async fn filled(world: &World, first: &str, second: &str) -> [String; 3] {
    let data = json!({ "email": "marie@company.fr", "first_name": "Marie", "last_name": "Dupont",
        "business_id": "b-77" });
    let answer = world.accept(&user("e-1", first, "2026-01-01T10:00:00Z", data.clone())).await;
    let synced = row_id(&answer, 0);
    world.drain().await;
    let answer = world.accept(&user("e-2", second, "2026-01-01T11:00:00Z", data)).await;
    let failed = row_id(&answer, 0);
    world.drain().await;
    world.advance(TimeDelta::minutes(1));
    let deal = json!({ "probability": 0.5, "business_id": "b-77" });
    let answer =
        world.accept(&event("e-3", "milestone.updated", "m-1", "2026-01-01T12:00:00Z", deal)).await;
    world.drain().await;
    assert_eq!(world.row(&synced).await["status"], "synced");
    assert_eq!(world.row(&failed).await["status"], "failed");
    [synced, failed, row_id(&answer, 0)]
}

/// Every page that `role` may see, for these rows and records, such as `contact/u-1`.
pub fn everywhere(role: Role, rows: &[String; 3], records: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for page in PAGES.iter().filter(|page| role.may(page.role)) {
        for example in page.examples {
            if example.contains("{row}") {
                all.extend(rows.iter().map(|row| example.replace("{row}", row)));
            } else if example.contains("{record}") {
                all.extend(records.iter().map(|record| example.replace("{record}", record)));
            } else {
                all.push((*example).to_owned());
            }
        }
    }
    assert!(!all.iter().any(|path| path.contains('{')), "{all:?}");
    all
}
