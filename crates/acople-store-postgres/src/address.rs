//! Where the server is, and what every connection to it is told.

use std::net::IpAddr;
use std::time::Duration;

use acople_core::{Error, Result, Secret};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// What a TCP connection and its handshakes may take, unless the address says otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// Options of each session that are the store's own.
pub(crate) struct Session {
    pub(crate) statement_timeout: Duration,
    /// A pooler in between hands sessions from one client to the next: nothing may be set on them.
    pub(crate) pooled: bool,
}

/// Reads a URL or a text of `key=value` pairs, and completes it.
///
/// TLS is demanded unless the address says `sslmode=disable` or the server is on this machine.
pub(crate) fn parse(address: &Secret, password: Option<&Secret>, session: &Session) -> Result<Config> {
    // The cause is dropped on purpose: it may quote the address, which may hold the password.
    let mut config: Config = address.expose().parse().map_err(|_| {
        Error::config("address", "the address is neither a PostgreSQL URL nor a text of key=value pairs")
    })?;
    if let Some(password) = password {
        config.password(password.expose());
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(Error::config("address", "the address names no host"));
    }
    if config.get_application_name().is_none() {
        config.application_name("acople");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    // "Prefer" is what an address has that says nothing.
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if is_local(&config) { SslMode::Disable } else { SslMode::Require });
    }
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if !session.pooled {
        let timeout = session.statement_timeout.as_millis().max(1);
        let own = format!("-c statement_timeout={timeout} -c lock_timeout={timeout}");
        // What the host says comes later and counts.
        config.options(match config.get_options() {
            Some(theirs) => format!("{own} {theirs}"),
            None => own,
        });
    }
    Ok(config)
}

/// Whether no byte of the connection leaves this machine.
fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use acople_core::{ErrorKind, Secret};
    use tokio_postgres::config::SslMode;

    use super::{Session, parse};

    const SESSION: Session = Session { statement_timeout: Duration::from_secs(5), pooled: false };

    #[test]
    fn tls_is_demanded_unless_the_server_is_on_this_machine_or_the_address_says_otherwise() {
        let mode = |address: &str| parse(&Secret::from(address), None, &SESSION).unwrap().get_ssl_mode();
        assert_eq!(mode("postgresql://u@db.example.com/x"), SslMode::Require);
        assert_eq!(mode("host=db.example.com user=u sslmode=prefer"), SslMode::Require);
        assert_eq!(mode("postgresql://u@127.0.0.1,db.example.com/x"), SslMode::Require);
        assert_eq!(mode("host=localhost hostaddr=192.0.2.1 user=u"), SslMode::Require);
        assert_eq!(mode("postgresql://u@127.0.0.1/x?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgresql://u@127.0.0.1/x"), SslMode::Disable);
        assert_eq!(mode("postgresql://u@[::1]/x"), SslMode::Disable);
        assert_eq!(mode("host=/run/postgresql user=u"), SslMode::Disable);
        assert_eq!(mode("postgresql://u@db.example.com/x?sslmode=disable"), SslMode::Disable);
    }

    #[test]
    fn an_address_that_is_none_is_an_error_without_its_text() {
        for address in ["postgresql://u:CANARY@h:notaport/x", "CANARY", "user=CANARY", "host='CANARY"] {
            let error = parse(&Secret::from(address), None, &SESSION).unwrap_err();
            assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["address".to_owned()][..]));
            assert!(!format!("{error:?}").contains("CANARY"), "{address}");
        }
    }

    #[test]
    fn a_session_of_its_own_has_time_outs_and_one_behind_a_pooler_has_none() {
        let options = |pooled| {
            let address = Secret::from("host=127.0.0.1 user=u options='-c work_mem=1MB'");
            let session = Session { statement_timeout: Duration::from_secs(2), pooled };
            parse(&address, None, &session).unwrap().get_options().map(str::to_owned)
        };
        let own = "-c statement_timeout=2000 -c lock_timeout=2000 -c work_mem=1MB";
        assert_eq!(options(false).as_deref(), Some(own));
        assert_eq!(options(true).as_deref(), Some("-c work_mem=1MB"));
    }
}
