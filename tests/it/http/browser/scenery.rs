//! An hour of a small company's day, the same each time, for the pictures.

use chrono::{DateTime, TimeDelta, Utc};
use hubspot_sandbox::{Faults, Outage};
use serde_json::{Value, json};

use crate::support::World;

/// When the hour begins: times in the pictures do not change with the day they are drawn on.
const START: &str = "2026-12-08T08:57:00Z";
const MINUTES: i64 = 58;

const PEOPLE: [(&str, &str); 10] = [
    ("Marie", "Dupont"),
    ("Luc", "Bernard"),
    ("Amina", "Haddad"),
    ("Pierre", "Lefèvre"),
    ("Chloé", "Moreau"),
    ("Hugo", "Garnier"),
    ("Inès", "Fontaine"),
    ("Noah", "Robert"),
    ("Sofia", "Almeida"),
    ("Jonas", "Weber"),
];
const TRADES: [&str; 5] = ["Plumbing", "Roofing", "Electrical Services", "Painting", "Carpentry"];

/// What the pictures point at.
pub struct Scenery {
    /// A deal that failed for its currency.
    pub failed: String,
}

/// The clock of the story, in whole seconds.
struct Teller<'w> {
    world: &'w World,
    start: DateTime<Utc>,
    events: u32,
}

impl Teller<'_> {
    /// Moves the clock to so many seconds after the start.
    async fn at(&self, seconds: i64) {
        let now = self.world.queue.now().await.expect("a clock");
        self.world.advance(self.start + TimeDelta::seconds(seconds) - now);
    }

    async fn tell(&mut self, kind: &str, subject: String, data: Value) -> String {
        self.events += 1;
        let now = self.world.queue.now().await.expect("a clock");
        let time = now.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let event = json!({ "specversion": "1.0", "id": format!("evt-{:05}", self.events),
            "source": "safebill/backend", "type": kind, "subject": subject, "time": time,
            "data": data });
        crate::support::row_id(&self.world.accept(&event).await, 0)
    }
}

/// Fills `world` with that hour.
pub async fn paint(world: &World) -> Scenery {
    let mut teller = Teller { world, start: START.parse().expect("a time"), events: 0 };
    teller.at(0).await;
    world.worker.check_account().await.expect("an account");
    let change = json!({ "settings": { "retry.max_retries": 5 } });
    assert_eq!(world.admin("PUT", "/settings", Some(change)).await.0, 200);
    for (name, role, days) in [
        ("Backend, production", "ingest", None),
        ("Support desk", "viewer", Some(365)),
        ("On call", "operator", Some(90)),
        ("Ada Martin", "admin", Some(180)),
    ] {
        let key = json!({ "name": name, "role": role, "expires_in_days": days });
        assert_eq!(world.admin("POST", "/keys", Some(key)).await.0, 201);
    }
    let mut failed = String::new();
    for minute in 0..MINUTES {
        teller.at(minute * 60).await;
        if let Some(row) = minute_of(&mut teller, minute).await {
            failed = row;
        }
        // From acceptance to HubSpot: a few seconds.
        teller.at(minute * 60 + 1 + minute * 7 % 4).await;
        world.drain().await;
        if minute == 21 {
            let reason = json!({ "reason": "importing the old CRM" });
            assert_eq!(world.admin("POST", "/pause", Some(reason)).await.0, 200);
            teller.at(minute * 60 + 50).await;
            assert_eq!(world.admin("POST", "/resume", None).await.0, 200);
        }
    }
    teller.at(MINUTES * 60 - 30).await;
    // HubSpot stumbles once, and one deal lacks what HubSpot needs to create it.
    let outage = Some(Outage { status: 503, remaining: Some(1), html: false });
    world.sandbox.set_faults(Faults { outage, ..Faults::default() });
    let dispute = json!({ "reference": "DSP-2026-00042", "title": "Late delivery",
        "status": "in_progress", "priority": "high", "raised_by_user_id": "u-1003" });
    teller.tell("dispute.created", "d-9042".into(), dispute).await;
    world.drain().await;
    let odds = json!({ "probability": 0.4, "business_id": "b-78" });
    teller.tell("milestone.updated", "m-777".into(), odds).await;
    world.drain().await;
    teller.at(MINUTES * 60 - 10).await;
    Scenery { failed }
}

/// What happens in a minute; the row of a deal in pounds, if there is one.
async fn minute_of(teller: &mut Teller<'_>, minute: i64) -> Option<String> {
    let n = usize::try_from(minute).expect("a minute");
    for k in 0..1 + n * 5 % 4 {
        let who = (n * 3 + k) % PEOPLE.len();
        let (first, last) = PEOPLE[who];
        let number = 1_001 + (n * 3 + k) % 40;
        let data = json!({ "email": format!("{}.{}{}@example.com", first.to_lowercase(), last.to_lowercase(), number)
                .replace('é', "e").replace('è', "e").replace('ï', "i"),
            "first_name": first, "last_name": last, "country": "FR",
            "phone": format!("06 12 34 {:02} {:02}", n, k), "business_id": format!("b-{}", 77 + who % 5) });
        let kind = if n * 3 + k < 40 { "user.created" } else { "user.updated" };
        teller.tell(kind, format!("u-{number}"), data).await;
    }
    if n < 5 {
        let data = json!({ "name": format!("{} {}", PEOPLE[n].1, TRADES[n]),
            "industry": TRADES[n], "phone": "+33142345678", "employees": 4 + n });
        teller.tell("business.created", format!("b-{}", 77 + n), data).await;
    }
    if n % 4 == 1 {
        let status = ["proposal", "paid", "in_progress"][n % 3];
        let data = json!({ "name": "Kitchen, second payment", "status": status,
            "amount": { "value": format!("{}.00", 400 + 35 * n), "currency": "EUR" },
            "business_id": format!("b-{}", 77 + n % 5), "client_user_id": "u-1003" });
        teller.tell("milestone.created", format!("m-{}", 501 + n), data).await;
    }
    if n == 31 {
        // A second person with an address that another one has.
        let data = json!({ "email": "marie.dupont1001@example.com", "first_name": "Marie",
            "last_name": "Dupont", "country": "FR" });
        teller.tell("user.created", "u-2001".into(), data).await;
    }
    if n >= 35 && n % 7 == 0 {
        let data = json!({ "name": "Roof in Leeds", "status": "paid",
            "amount": { "value": "1250.00", "currency": "GBP" }, "business_id": "b-79" });
        return Some(teller.tell("milestone.created", format!("m-{}", 801 + n), data).await);
    }
    None
}
