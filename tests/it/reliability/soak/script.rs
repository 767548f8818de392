//! The script of a soak: every event, in the order of arrival, all of it from the seed.

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::support::event;

/// What the application tells of.
#[derive(Debug, Clone)]
pub struct Entity {
    /// The first half of its event types.
    pub kind: &'static str,
    pub id: String,
    /// A user whose address another user has too. Whoever comes second fails, so nothing may take
    /// the address from whoever came first.
    pub shares: Option<String>,
    /// A user whose first address a person may have entered in HubSpot already.
    pub known: bool,
}

impl Entity {
    /// HubSpot's name of the kind.
    pub fn plural(&self) -> &'static str {
        match self.kind {
            "user" => "contacts",
            "business" => "companies",
            "milestone" => "deals",
            _ => "tickets",
        }
    }

    /// The first address of a user.
    pub fn address(&self) -> String {
        format!("{}@example.com", self.id)
    }
}

/// All that happens in the application.
#[derive(Debug)]
pub struct Script {
    pub entities: Vec<Entity>,
    /// In the order of arrival; ids are unique.
    pub events: Vec<Value>,
}

/// Days in which event times lie: few, so that times tie.
const DAYS: i64 = 40;

/// The script of `records` records.
pub fn write(seed: u64, records: usize) -> Script {
    let dice = StdRng::seed_from_u64(seed);
    let counts = [
        ("business", "b", records * 18 / 100),
        ("milestone", "m", records * 26 / 100),
        ("dispute", "d", records * 12 / 100),
    ];
    let users = records - counts.iter().map(|(.., n)| n).sum::<usize>();
    let mut entities = Vec::new();
    for (kind, letter, count) in [("user", "u", users)].into_iter().chain(counts) {
        entities.extend((0..count).map(|n| {
            let is_user = kind == "user";
            Entity {
                kind,
                id: format!("{letter}-{n}"),
                shares: (is_user && n % 40 < 2).then(|| format!("shared{}@example.com", n / 40)),
                known: is_user && n % 40 == 7,
            }
        }));
    }
    let mut writer = Writer { dice, users, counts: counts.map(|(.., n)| n), events: Vec::new() };
    for entity in &entities {
        writer.life(entity);
    }
    let Writer { mut dice, mut events, .. } = writer;
    events.shuffle(&mut dice);
    Script { entities, events }
}

/// An event that is newer than all of the script and changes something, whatever came before.
pub fn touch(entity: &Entity, n: usize) -> Value {
    let property = match entity.kind {
        "user" => "job_title",
        "dispute" => "resolution",
        _ => "description",
    };
    let data = json!({ property: format!("Touched {n}") });
    let kind = format!("{}.updated", entity.kind);
    event(&format!("touch-{n}"), &kind, &entity.id, &time(DAYS + 10), data)
}

fn time(day: i64) -> String {
    let start: DateTime<Utc> = "2026-01-01T10:00:00Z".parse().expect("a time");
    (start + TimeDelta::days(day)).to_rfc3339()
}

struct Writer {
    dice: StdRng,
    users: usize,
    /// Businesses, milestones, disputes.
    counts: [usize; 3],
    events: Vec<Value>,
}

impl Writer {
    /// Everything that is ever told of one entity.
    fn life(&mut self, entity: &Entity) {
        let born = self.dice.random_range(0..DAYS / 2);
        self.tell(entity, "created", born);
        for _ in 0..*[0, 0, 1, 1, 2, 4].choose(&mut self.dice).expect("a count") {
            let day = self.dice.random_range(0..DAYS);
            self.tell(entity, "updated", day);
        }
        if entity.shares.is_none() && self.dice.random_bool(0.08) {
            let died = self.dice.random_range(0..DAYS);
            self.tell(entity, "deleted", died);
            if self.dice.random_bool(0.5) {
                let again = self.dice.random_range(died..DAYS);
                self.tell(entity, "created", again);
            }
        }
    }

    fn tell(&mut self, entity: &Entity, verb: &str, day: i64) {
        let number = self.events.len();
        let data = match (verb, entity.kind) {
            ("deleted", _) => Map::new(),
            (_, "user") => self.user(entity, verb, number),
            (_, "business") => self.business(verb, number),
            (_, "milestone") => self.milestone(verb, number),
            _ => self.dispute(verb, number),
        };
        let kind = format!("{}.{verb}", entity.kind);
        let id = format!("e{number}");
        let mut event = event(&id, &kind, &entity.id, &time(day), Value::Object(data));
        if self.dice.random_bool(0.2) {
            let wish = ["high", "normal", "low"].choose(&mut self.dice).expect("a wish");
            event["priority"] = json!(wish);
        }
        self.events.push(event);
    }

    /// Sometimes says something of `name`, and sometimes that there is none.
    fn maybe(&mut self, data: &mut Map<String, Value>, name: &str, value: Value) {
        if self.dice.random_bool(0.4) {
            let none = self.dice.random_bool(0.15);
            data.insert(name.into(), if none { Value::Null } else { value });
        }
    }

    fn one_of(&mut self, words: &[&str]) -> Value {
        json!(words.choose(&mut self.dice).expect("a word"))
    }

    /// The id of an entity, and now and then of one that never comes.
    fn other(&mut self, letter: char) -> Value {
        let [businesses, milestones, _] = self.counts;
        let count = match letter {
            'u' => self.users,
            'b' => businesses,
            _ => milestones,
        };
        if self.dice.random_bool(0.02) {
            return json!(format!("{letter}-never"));
        }
        json!(format!("{letter}-{}", self.dice.random_range(0..count.max(1))))
    }

    fn user(&mut self, entity: &Entity, verb: &str, n: usize) -> Map<String, Value> {
        let mut data = Map::new();
        let again = format!("{}.{n}@example.com", entity.id);
        match (verb, &entity.shares) {
            ("created", Some(shared)) => drop(data.insert("email".into(), json!(shared))),
            ("created", None) => drop(data.insert("email".into(), json!(entity.address()))),
            (_, Some(shared)) if self.dice.random_bool(0.3) => {
                data.insert("email".into(), json!(shared));
            }
            _ if self.dice.random_bool(0.3) => drop(data.insert("email".into(), json!(again))),
            _ => {}
        }
        let phone = format!("+336{:08}", self.dice.random_range(10_000_000..99_999_999));
        let business = self.other('b');
        self.maybe(&mut data, "first_name", json!(format!("Ann {n}")));
        self.maybe(&mut data, "last_name", json!(format!("O'Neil {n}")));
        self.maybe(&mut data, "phone", json!(phone));
        self.maybe(&mut data, "company", json!(format!("Company {n} & Sons")));
        self.maybe(&mut data, "job_title", json!(format!("Title {n}")));
        self.maybe(&mut data, "role", json!(format!("role{}", n % 3)));
        self.maybe(&mut data, "country", json!("FR"));
        self.maybe(&mut data, "business_id", business);
        data
    }

    fn business(&mut self, verb: &str, n: usize) -> Map<String, Value> {
        let mut data = Map::new();
        if verb == "created" || self.dice.random_bool(0.3) {
            data.insert("name".into(), json!(format!("Business {n}")));
        }
        let trade = self.one_of(&["Plumbing", "Bakery", "Falconry", "software"]);
        self.maybe(&mut data, "siret", json!(format!("{n:014}")));
        self.maybe(&mut data, "domain", json!(format!("https://www.b{n}.example.com/")));
        self.maybe(&mut data, "employees", json!(n % 500));
        self.maybe(&mut data, "annual_revenue", json!(format!("{n}.50")));
        self.maybe(&mut data, "industry", trade);
        let address = json!({ "line1": format!("{n} Rue de Paris"), "city": "Paris" });
        self.maybe(&mut data, "address", address);
        self.maybe(&mut data, "description", json!(format!("First line\r\nof {n}")));
        data
    }

    fn milestone(&mut self, verb: &str, n: usize) -> Map<String, Value> {
        let mut data = Map::new();
        if verb == "created" || self.dice.random_bool(0.3) {
            data.insert("name".into(), json!(format!("Milestone {n}")));
            let project = json!({ "name": format!("Project {}", n % 9) });
            self.maybe(&mut data, "project", project);
        }
        if self.dice.random_bool(0.5) {
            // HubSpot's account has no pounds: it refuses them, and mapping cannot know.
            let currency = self.one_of(&["EUR"; 10]);
            let pounds = self.dice.random_bool(0.04);
            let currency = if pounds { json!("GBP") } else { currency };
            data.insert(
                "amount".into(),
                json!({ "value": format!("{n}.00"), "currency": currency }),
            );
        }
        if self.dice.random_bool(0.5) {
            let status = self.one_of(&["draft", "proposal", "sent", "accepted", "paid", "refused"]);
            data.insert("status".into(), status);
        }
        let (business, client) = (self.other('b'), self.other('u'));
        self.maybe(&mut data, "due_date", json!(format!("2026-05-{:02}", n % 28 + 1)));
        self.maybe(&mut data, "probability", json!(0.25));
        self.maybe(&mut data, "description", json!(format!("Description {n}")));
        self.maybe(
            &mut data,
            "payment",
            json!({ "status": "captured", "reference": format!("p{n}") }),
        );
        self.maybe(&mut data, "business_id", business);
        self.maybe(&mut data, "client_user_id", client);
        data
    }

    fn dispute(&mut self, verb: &str, n: usize) -> Map<String, Value> {
        let mut data = Map::new();
        if verb == "created" || self.dice.random_bool(0.3) {
            data.insert("title".into(), json!(format!("Dispute {n}")));
            data.insert("reference".into(), json!(format!("DSP-{n}")));
        }
        if self.dice.random_bool(0.5) {
            let status = self.one_of(&["new", "waiting", "in_progress", "resolved"]);
            data.insert("status".into(), status);
        }
        let urgency = self.one_of(&["low", "high", "urgent"]);
        let (user, business, milestone) = (self.other('u'), self.other('b'), self.other('m'));
        self.maybe(&mut data, "priority", urgency);
        self.maybe(&mut data, "description", json!(format!("Description {n}")));
        self.maybe(&mut data, "resolution", json!(format!("Resolution {n}")));
        self.maybe(&mut data, "raised_by_user_id", user);
        self.maybe(&mut data, "business_id", business);
        self.maybe(&mut data, "milestone_id", milestone);
        data
    }
}
