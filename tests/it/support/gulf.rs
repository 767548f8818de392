//! A way over TCP that can fall silent: what goes over it stays open at both ends, and nothing arrives
//! any more, as when a router has forgotten a connection. New connections get through. It can also
//! be turned to another database, as an address is in a failover.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Where it leads.
#[derive(Clone)]
enum Far {
    Tcp(String),
    Unix(PathBuf),
}

impl Far {
    fn of(database: &PgConnectOptions) -> Self {
        match database.get_socket() {
            Some(dir) => Self::Unix(dir.join(format!(".s.PGSQL.{}", database.get_port()))),
            None => Self::Tcp(format!("{}:{}", database.get_host(), database.get_port())),
        }
    }
}

/// How `database` is reached over a port of this machine's.
pub fn over(database: &PgConnectOptions, port: u16) -> PgConnectOptions {
    let over = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(database.get_username())
        .database(database.get_database().expect("a database"))
        .ssl_mode(PgSslMode::Disable);
    match password(database) {
        Some(password) => over.password(&password),
        None => over,
    }
}

/// The password of `database`'s user.
pub fn password(database: &PgConnectOptions) -> Option<String> {
    let url = database.to_url_lossy();
    let password = url.password()?;
    Some(percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned())
}

/// Words at which a connection falls silent, and how many did.
#[derive(Clone)]
struct Forbidden {
    words: Arc<OnceLock<&'static str>>,
    met: watch::Sender<usize>,
}

/// A running way.
pub struct Gulf {
    pub address: SocketAddr,
    silences: watch::Sender<usize>,
    forbidden: Forbidden,
    far: watch::Sender<Far>,
}

impl Gulf {
    /// To an address such as `127.0.0.1:80`.
    pub async fn to(address: &str) -> Self {
        Self::start(Far::Tcp(address.to_owned())).await
    }

    /// To a database; the second answer is how it is reached over this way.
    pub async fn to_database(database: &PgConnectOptions) -> (Self, PgConnectOptions) {
        let gulf = Self::start(Far::of(database)).await;
        let port = gulf.address.port();
        (gulf, over(database, port))
    }

    async fn start(far: Far) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (silences, heard) = watch::channel(0);
        let forbidden = Forbidden { words: Arc::default(), met: watch::Sender::new(0) };
        let words = forbidden.clone();
        let (far, mut leads) = watch::channel(far);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (far, heard) = (leads.borrow_and_update().clone(), heard.clone());
                let words = words.clone();
                let mut turned = leads.clone();
                tokio::spawn(async move {
                    let carried = async {
                        match far {
                            Far::Tcp(address) => match TcpStream::connect(address).await {
                                Ok(far) => carry(near, far, heard, words).await,
                                Err(_) => drop(near),
                            },
                            Far::Unix(path) => match UnixStream::connect(path).await {
                                Ok(far) => carry(near, far, heard, words).await,
                                Err(_) => drop(near),
                            },
                        }
                    };
                    tokio::select! {
                        () = carried => {}
                        Ok(()) = turned.changed() => {}
                    }
                });
            }
        });
        Self { address, silences, forbidden, far }
    }

    /// Leads to another database from now on; what is open is cut.
    pub fn turns_to(&self, database: &PgConnectOptions) {
        self.far.send_replace(Far::of(database));
    }

    /// Nothing arrives any more of what is on the way, nor of what its ends say later.
    pub fn falls_silent(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }

    /// From now on each connection falls silent that is about to carry `words` to the far end.
    pub fn falls_silent_at(&self, words: &'static str) {
        self.forbidden.words.set(words).expect("once");
    }

    /// Waits until so many connections fell silent at the words.
    pub async fn met(&self, connections: usize) {
        let mut met = self.forbidden.met.subscribe();
        met.wait_for(|&met| met >= connections).await.expect("a running way");
    }
}

async fn carry(
    near: TcpStream,
    far: impl AsyncRead + AsyncWrite + Unpin,
    mut heard: watch::Receiver<usize>,
    forbidden: Forbidden,
) {
    heard.mark_unchanged();
    let (mut near_reads, mut near_writes) = near.into_split();
    let (mut far_reads, mut far_writes) = tokio::io::split(far);
    let ended = tokio::select! {
        refused = carry_unless(&mut near_reads, &mut far_writes, &forbidden) => !refused,
        _ = copy(&mut far_reads, &mut near_writes) => true,
        changed = heard.changed() => changed.is_err(),
    };
    if !ended {
        // Both ends stay open, for as long as the way is there.
        while heard.changed().await.is_ok() {}
    }
}

/// Carries until an end goes away; answers whether it stopped because of the forbidden words.
async fn carry_unless(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    forbidden: &Forbidden,
) -> bool {
    let mut read = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut read).await {
        let said =
            |words: &&str| read[..length].windows(words.len()).any(|w| w == words.as_bytes());
        if forbidden.words.get().is_some_and(said) {
            forbidden.met.send_modify(|met| *met += 1);
            return true;
        }
        if to.write_all(&read[..length]).await.is_err() {
            break;
        }
    }
    false
}
