//! The sections of the settings that stay the same while the service runs. config/default.toml
//! explains each key.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }

        impl $name {
            /// The keys of the section that do not change while the service runs.
            pub(super) const KEYS: &[&str] = &[$(stringify!($field)),*];
        }
    };
}

section!(/// The HTTP server.
Server {
    /// The address to listen on.
    listen: SocketAddr,
    /// The application's key.
    ingest_key: Option<SecretString>,
    /// The admin key.
    admin_key: Option<SecretString>,
    /// The timeout for the head of the next request on a connection.
    head_seconds: u64,
    /// The timeout of a client that does not read its answer.
    stall_seconds: u64,
    /// How long the process reports that it is not ready before a shutdown begins.
    drain_seconds: u64,
    /// The URL by which people and applications reach the server.
    public_url: Option<String>,
    /// How long a shutdown may take.
    grace_seconds: u64,
});
section!(/// Postgres.
Database {
    /// The address.
    url: Option<SecretString>,
    /// Whether the address belongs to a pooler in transaction mode.
    pooler: bool,
    /// An address that bypasses the pooler.
    direct_url: Option<SecretString>,
    /// The database schema that contains the tables.
    schema: String,
    /// The size of this process's connection pool.
    max_connections: u32,
    /// The timeout for getting a connection.
    acquire_timeout_seconds: u64,
});

impl Database {
    /// Whether the name of the schema needs no quotes.
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
    /// The address.
    api_url: String,
    /// The oldest version of TLS.
    min_tls: String,
    /// The API version in the paths.
    api_version: String,
    /// Whether to use a larger limit named by HubSpot's headers.
    learn_limits: bool,
    /// The HubSpot owner of new records.
    owner_id: Option<String>,
});
section!(/// The workers that send to HubSpot.
Worker {
    /// The number of workers in this process.
    count: usize,
    /// When a lease expires.
    lease_seconds: u64,
    /// How long entries of the call log are kept.
    keep_calls_days: i64,
    /// How long entries of the audit log are kept.
    keep_audit_days: i64,
    /// How long finished rows and their events are kept. 0 keeps them forever.
    keep_done_days: i64,
});
section!(/// How events are accepted.
Ingest {
    /// The source of events that do not name one.
    default_source: String,
    /// How far in the future the time of an event may be.
    max_ahead_seconds: i64,
    /// The largest body.
    max_body_bytes: usize,
    /// The most events in a body.
    max_events: usize,
    /// The memory limit for the bodies of all requests together.
    max_bodies_bytes: usize,
    /// The most events of a key in a minute. 0 means no limit.
    max_events_per_minute: u32,
});
section!(/// The log.
Log {
    /// `auto`, `text` or `json`.
    format: String,
});

section!(/// Which mapping files to use.
#[derive(Default)]
MappingFiles {
    /// The directory to use instead of the compiled-in files.
    dir: Option<PathBuf>,
    /// The prefix for key values.
    namespace: Option<String>,
});
section!(/// Encryption at rest.
#[derive(Default)]
Security {
    /// Reserved for stored secrets. Nothing is encrypted with it yet.
    encryption_key: Option<SecretString>,
});
