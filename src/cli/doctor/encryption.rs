//! Checks whether the connection to Postgres is encrypted and the server verified.

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
    // Behind a pooler, Postgres describes the connection of the pooler.
    let tls: Option<String> = if config.database.pooler {
        matches!(mode, PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull)
            .then(|| "TLS".into())
    } else {
        sqlx::query_scalar("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .fetch_optional(db)
            .await?
            .flatten()
    };
    match judge(tls, mode, here) {
        Ok(detail) => report.ok(super::POSTGRES, NAME, detail),
        Err(detail) => report.warning(super::POSTGRES, NAME, detail, WAY_OUT),
    }
    Ok(())
}

/// What a connection is, with `tls` as Postgres names it: good enough or not. One that stays `here`
/// cannot be read on the way.
fn judge(tls: Option<String>, mode: PgSslMode, here: bool) -> Result<String, String> {
    match (tls, mode) {
        (Some(tls), PgSslMode::VerifyFull) => {
            Ok(format!("{tls}, with the server's certificate and name verified"))
        }
        (Some(tls), _) if here => Ok(format!("{tls}, within this machine")),
        (None, _) if here => Ok("not encrypted, within this machine".into()),
        (Some(tls), PgSslMode::VerifyCa) => {
            Err(format!("{tls}, with the certificate verified, but not the server's name"))
        }
        (Some(tls), _) => Err(format!("{tls}, but the identity of the server is not verified")),
        (None, _) => {
            Err("not encrypted: passwords and personal data can be read on the way".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verified_server_or_one_of_this_machine_is_good_enough() {
        let tls = || Some("TLSv1.3".to_owned());
        for (tls, mode, here, good, words) in [
            (tls(), PgSslMode::VerifyFull, false, true, "certificate and name verified"),
            (tls(), PgSslMode::VerifyFull, true, true, "certificate and name verified"),
            (tls(), PgSslMode::VerifyCa, true, true, "TLSv1.3, within this machine"),
            (None, PgSslMode::Prefer, true, true, "not encrypted, within this machine"),
            (tls(), PgSslMode::VerifyCa, false, false, "but not the server's name"),
            (tls(), PgSslMode::Require, false, false, "the identity of the server is not verified"),
            (tls(), PgSslMode::Prefer, false, false, "the identity of the server is not verified"),
            (None, PgSslMode::Prefer, false, false, "can be read on the way"),
            (None, PgSslMode::Disable, false, false, "can be read on the way"),
        ] {
            let said = judge(tls, mode, here);
            assert_eq!(said.is_ok(), good, "{mode:?} {here}: {said:?}");
            let (Ok(said) | Err(said)) = said;
            assert!(said.contains(words), "{mode:?} {here}: {said}");
        }
    }
}
