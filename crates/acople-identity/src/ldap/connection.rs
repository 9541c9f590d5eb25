//! One connection: opened safely, used by one login, and closed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use acople_core::{Error, ErrorKind, Result, Secret};
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use ldap3::{
    DerefAliases, Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchOptions, StdStream,
};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::{Limits, Server};
use super::entry::Entry;
use super::filter::Filter;
use super::refusal::{self, code};
use crate::der::Der;

/// The request for StartTLS (RFC 4511, 4.14.1), message 1.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Longest answer to it: a code and a few texts.
const LONGEST_ANSWER: usize = 4096;

/// A connection that a login works on.
pub(super) struct Connection {
    ldap: Ldap,
    limits: Limits,
}

/// What to search where.
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    /// The base alone, or all below it.
    pub(super) only_base: bool,
    pub(super) filter: &'a Filter,
    pub(super) attributes: Vec<&'a str>,
    /// More entries than this are an error.
    pub(super) entries: usize,
}

impl Connection {
    /// Connects, lets `work` use the connection, and closes it, within the limit of time. Nothing is spawned.
    ///
    /// # Errors
    /// Of the connection, and what `work` says.
    pub(super) async fn with<T, F: Future<Output = Result<T>>>(
        server: &Server,
        limits: &Limits,
        work: impl FnOnce(Self) -> F,
    ) -> Result<T> {
        let session = async {
            let (connection, mut ldap) = open(server).await?;
            let drive = AssertUnwindSafe(connection.drive()).catch_unwind();
            let working = async {
                let done = work(Self { ldap: ldap.clone(), limits: limits.clone() }).await;
                // A goodbye; the answer is there already.
                let _ = ldap.unbind().await;
                done
            };
            match select(Box::pin(working), Box::pin(drive)).await {
                Either::Left((done, _)) => done,
                // What came before the end still counts.
                Either::Right((Ok(_), working)) => working.await,
                Either::Right((Err(_), _)) => Err(unreadable()),
            }
        };
        // The library asserts the form of what it reads; a directory that breaks it must not take the host along.
        match timeout(limits.time, AssertUnwindSafe(session).catch_unwind()).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(unreadable()),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the directory did not answer in time")),
        }
    }

    /// Binds. What the directory says is the caller's to judge.
    pub(super) async fn bind(&mut self, name: &str, password: &Secret) -> Result<LdapResult> {
        // An empty one would be an anonymous bind, which succeeds for everybody (RFC 4513, 5.1.2).
        if name.is_empty() || password.is_empty() {
            return Err(Error::new(ErrorKind::Reauth, "the name or the password is empty"));
        }
        self.ldap.simple_bind(name, password.expose()).await.map_err(|error| refusal::of_connection(&error))
    }

    /// The entries that a search finds. References to other directories are left out.
    pub(super) async fn search(&mut self, search: Search<'_>) -> Result<Vec<Entry>> {
        let failed = |error| refusal::of_connection(&error);
        let seconds = i32::try_from(self.limits.time.as_secs().max(1)).unwrap_or(i32::MAX);
        let options = SearchOptions::new()
            .deref(DerefAliases::Never)
            .timelimit(seconds)
            .sizelimit(i32::try_from(search.entries.saturating_add(1)).unwrap_or(i32::MAX));
        let scope = if search.only_base { Scope::Base } else { Scope::Subtree };
        self.ldap.with_search_options(options);
        let filter = search.filter.to_string();
        let mut stream = self
            .ldap
            .streaming_search(search.base, scope, &filter, search.attributes)
            .await
            .map_err(failed)?;
        let mut entries = Vec::new();
        let mut bytes = 0_usize;
        while let Some(found) = stream.next().await.map_err(failed)? {
            let Some(entry) = Entry::read(found) else { continue };
            bytes = bytes.saturating_add(entry.bytes);
            if bytes > self.limits.bytes {
                let most = self.limits.bytes;
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!("the directory's answer has more than {most} bytes"),
                ));
            }
            entries.push(entry);
            if entries.len() > search.entries {
                return Ok(entries);
            }
        }
        let result = stream.finish().await;
        match result.rc {
            code::SUCCESS => Ok(entries),
            // What is over the limit is there to be counted.
            code::SIZE_LIMIT_EXCEEDED if entries.len() > search.entries => Ok(entries),
            code::SIZE_LIMIT_EXCEEDED => {
                Err(Error::new(ErrorKind::TooLarge, "the directory limits how much it finds")
                    .with_code(result.rc.to_string()))
            }
            _ => Err(refusal::of_all(&result)),
        }
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Protocol, "the directory's answer cannot be read")
}

/// Connects with TLS, or without where that was asked for by name.
async fn open(server: &Server) -> Result<(LdapConnAsync, Ldap)> {
    let address = format!("{}:{}", server.host, server.port);
    let mut stream = TcpStream::connect(&address).await.map_err(|error| refusal::of_io(&error))?;
    // Logins are few small messages, each waited for.
    let _ = stream.set_nodelay(true);
    if server.start_tls {
        // Done here, where an answer that nobody has signed meets a reader with bounds.
        start_tls(&mut stream).await?;
    }
    let stream = stream.into_std().map_err(|error| refusal::of_io(&error))?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream));
    let (scheme, settings) = match &server.tls {
        Some(tls) => ("ldaps", settings.set_config(Arc::<ClientConfig>::clone(tls))),
        None => ("ldap", settings),
    };
    LdapConnAsync::with_settings(settings, &format!("{scheme}://{address}"))
        .await
        .map_err(|error| refusal::of_connection(&error))
}

async fn start_tls(stream: &mut TcpStream) -> Result<()> {
    let unreachable = |error| refusal::of_io(&error);
    stream.write_all(START_TLS).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await.map_err(unreachable)? == 0 {
            return Err(Error::new(ErrorKind::Transient, "the connection to the directory ended early"));
        }
        let mut rest = Der(&answer);
        if let Some(message) = rest.expect(0x30) {
            // Whatever follows in the clear is not the directory's word.
            let refused = "the directory does not offer StartTLS: use ldaps:// or give it a certificate";
            return match result_code(message) {
                Some([0]) if rest.0.is_empty() => Ok(()),
                Some([0]) | None => Err(unreadable()),
                Some(_) => Err(Error::config("url", refused)),
            };
        }
        if answer.len() > LONGEST_ANSWER || answer.first() != Some(&0x30) {
            return Err(unreadable());
        }
    }
}

/// The result code of an extended response to message 1.
fn result_code(mut message: Der<'_>) -> Option<&[u8]> {
    if message.expect(0x02)?.0 != [1] {
        return None;
    }
    Some(message.expect(0x78)?.expect(0x0a)?.0)
}
