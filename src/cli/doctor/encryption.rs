//! What the connection to Postgres is: encrypted or not, to a server that is verified or not.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};

use super::Report;
use crate::config::Config;

const NAME: &str = "connection";
const WAY_OUT: &str = "add sslmode=verify-full to DATABASE_URL, and sslrootcert=FILE where the \
                       certificate comes from an authority of your own";

pub(super) async fn look(
    config: &Config,
    options: &PgConnectOptions,
    db: &mut PgConnection,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    if options.get_socket().is_some() {
        report.ok(super::POSTGRES, NAME, "a socket of this machine");
        return Ok(());
    }
    let host = options.get_host();
    let here = host == "localhost" || host.parse().is_ok_and(|host: IpAddr| host.is_loopback());
    let mode = options.get_ssl_mode();
    // Behind a pooler Postgres speaks of the pooler's connection, not of ours.
    let tls: Option<String> = if config.database.pooler {
        matches!(mode, PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull)
            .then(|| "TLS".into())
    } else {
        sqlx::query_scalar("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .fetch_optional(db)
            .await?
            .flatten()
    };
    match (tls, mode) {
        (Some(tls), PgSslMode::VerifyFull) => {
            let detail = format!("{tls}, with the server's certificate and name verified");
            report.ok(super::POSTGRES, NAME, detail);
        }
        (tls, _) if here => {
            let tls = tls.unwrap_or_else(|| "not encrypted".into());
            report.ok(super::POSTGRES, NAME, format!("{tls}, within this machine"));
        }
        (Some(tls), PgSslMode::VerifyCa) => {
            let detail = format!("{tls}, with the certificate verified, but not the server's name");
            report.warning(super::POSTGRES, NAME, detail, WAY_OUT);
        }
        (Some(tls), _) => {
            let detail = format!("{tls}, but nobody verifies which server answers");
            report.warning(super::POSTGRES, NAME, detail, WAY_OUT);
        }
        (None, _) => {
            let detail = "not encrypted: passwords and personal data can be read on the way";
            report.warning(super::POSTGRES, NAME, detail, WAY_OUT);
        }
    }
    Ok(())
}
