//! The sections of the settings; config/default.toml says what each key means.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use crate::settings::{OnDelete, OnErase, Priorities};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }
    };
}

section!(/// The HTTP server.
Server {
    /// Where it listens.
    listen: SocketAddr,
    /// The application's key.
    ingest_key: Option<SecretString>,
    /// The admins' key.
    admin_key: Option<SecretString>,
    /// How long a connection may take for the head of its next request.
    head_seconds: u64,
    /// How long a connection may take none of what it is given.
    stall_seconds: u64,
    /// How long it says that it is not ready before a shutdown begins.
    drain_seconds: u64,
    /// How people and applications reach it.
    public_url: Option<String>,
    /// How long a shutdown may take.
    grace_seconds: u64,
});
section!(/// Postgres.
Database {
    /// Its address.
    url: Option<SecretString>,
    /// Whether the address is a pooler's, in transaction mode.
    pooler: bool,
    /// An address past the pooler.
    direct_url: Option<SecretString>,
    /// The schema of the tables.
    schema: String,
    /// Connections of this process.
    max_connections: u32,
    /// How long to wait for one.
    acquire_timeout_seconds: u64,
});

impl Database {
    /// Whether the schema has a name that needs no quotes.
    pub(super) fn schema_is_a_name(&self) -> bool {
        let mut bytes = self.schema.bytes();
        bytes.next().is_some_and(|first| matches!(first, b'a'..=b'z' | b'_'))
            && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            && self.schema.len() <= 63
    }
}

section!(/// HubSpot.
HubSpot {
    /// The access token.
    api_key: Option<SecretString>,
    /// Its address.
    api_url: String,
    /// The oldest version of TLS.
    min_tls: String,
    /// The version in the paths.
    api_version: String,
    /// The time-out of a call.
    timeout_seconds: u64,
    /// Calls in any rolling ten seconds.
    limit_per_10s: u32,
    /// Calls a day.
    limit_per_day: u32,
    /// Whether a larger limit that HubSpot's headers name is used.
    learn_limits: bool,
    /// The owner of what is created.
    owner_id: Option<String>,
});
section!(/// When failures are tried again.
Retry {
    /// The first wait.
    delay_ms: u64,
    /// What each further one is multiplied by.
    factor: f64,
    /// The most retries of a row.
    max_retries: i32,
    /// The variation of waits.
    jitter: f64,
    /// Whether rejected rows are retried too.
    rejected: bool,
});
section!(/// When HubSpot is left alone after failures.
Breaker {
    /// So many failures within a minute close the gate.
    threshold: u32,
    /// For so long.
    timeout_seconds: u32,
});
section!(/// Records that HubSpot had before us.
Adopted {
    /// What a delete does to them.
    on_delete: OnDelete,
    /// What an erasure does to them.
    on_erase: OnErase,
});
section!(/// The engine.
Worker {
    /// Workers of this process.
    count: usize,
    /// The life of a lease.
    lease_seconds: u64,
    /// How long an idle worker gathers.
    frequency_ms: u64,
    /// How long a record waits for what its creation lacks.
    wait_create_hours: i64,
    /// Whether anything is sent.
    enabled: bool,
    /// How long call-log lines are kept.
    keep_calls_days: i64,
    /// How long audit lines are kept.
    keep_audit_days: i64,
    /// How long rows that are done are kept, with their events; 0: for good.
    keep_done_days: i64,
});
section!(/// The door.
Ingest {
    /// The source of events that name none.
    default_source: String,
    /// How far ahead an event's time may run.
    max_ahead_seconds: i64,
    /// The largest body.
    max_body_bytes: usize,
    /// The most events of a body.
    max_events: usize,
    /// What the bodies of all requests may take together.
    max_bodies_bytes: usize,
    /// The most events of a key in a minute; 0: no bound.
    max_events_per_minute: u32,
    /// The urgency of events that name none.
    priorities: Priorities,
});
section!(/// The log.
Log {
    /// `auto`, `text` or `json`.
    format: String,
});

/// The mapping files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingFiles {
    /// The folder, instead of the compiled-in files.
    pub dir: Option<PathBuf>,
    /// What keys are put behind.
    pub namespace: Option<String>,
}

/// Encryption at rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// Reserved for stored secrets; nothing is encrypted with it yet.
    pub encryption_key: Option<SecretString>,
}
