//! What Redis reports, and what it means for the store.

use acople_core::{Error, ErrorKind};
use redis::{ErrorKind as Kind, RedisError};

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    message: String,
    code: Option<String>,
    /// Worth another attempt by the store itself.
    pub(crate) passing: bool,
    /// The connection is not to be used again.
    pub(crate) lost: bool,
    /// The command may have taken effect.
    pub(crate) unsure: bool,
}

impl Fault {
    /// What a command's error means.
    pub(crate) fn of(error: &RedisError) -> Self {
        if let Some(code) = error.code() {
            let code = code.to_owned();
            let fault = Self::told(&code, error.detail().unwrap_or_default());
            return Self { code: Some(code), ..fault };
        }
        let lost = Self { lost: true, unsure: true, ..Self::passing(ErrorKind::Transient, "") };
        match error.kind() {
            _ if error.is_timeout() => {
                Self { kind: ErrorKind::Timeout, message: "the server did not answer in time".into(), ..lost }
            }
            Kind::IoError => Self { message: "the connection was lost".into(), ..lost },
            kind => Self {
                lost: true,
                ..Self::lasting(ErrorKind::Internal, format!("not an answer of Redis: {kind:?}"))
            },
        }
    }

    /// What it means that a connection was not made: nothing was sent.
    pub(crate) fn of_connect(error: &RedisError) -> Self {
        match error.kind() {
            Kind::AuthenticationFailed => {
                Self::lasting(ErrorKind::Config, "the server refuses the user or the password")
            }
            Kind::InvalidClientConfig => Self::lasting(
                ErrorKind::Config,
                "the address asks for what this build does not have, such as TLS",
            ),
            Kind::IoError if !error.is_timeout() && error.category().contains("TLS") => {
                Self::lasting(ErrorKind::Config, "the server's certificate is not accepted")
            }
            _ if error.code().is_some() => Self { unsure: false, ..Self::of(error) },
            _ => Self::passing(ErrorKind::Transient, "no connection to the server"),
        }
    }

    /// The error that a caller gets; `unsure`: an attempt may have taken effect.
    pub(crate) fn error(self, store: &str, unsure: bool) -> Error {
        let error = Error::new(self.kind, format!("{store}: {}", self.message));
        let error = match &self.code {
            Some(code) => error.with_code(code),
            None => error,
        };
        if unsure { error.with_unknown_outcome() } else { error }
    }

    /// By the first word of the server's error. What comes behind it may quote the command, and is left out where it
    /// is not known to be harmless.
    fn told(code: &str, detail: &str) -> Self {
        match code {
            "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => {
                Self::passing(ErrorKind::Transient, detail)
            }
            // A replica after a change of roles: the next connection may find the master.
            "READONLY" => Self { lost: true, ..Self::passing(ErrorKind::Transient, detail) },
            "OOM" => Self::lasting(
                ErrorKind::Transient,
                "the server is at its memory limit; nothing was acknowledged, make room",
            ),
            "MISCONF" => Self::lasting(
                ErrorKind::Transient,
                "the server cannot write to its disk; nothing was acknowledged, make room",
            ),
            "NOAUTH" | "WRONGPASS" => {
                Self::lasting(ErrorKind::Config, "the server refuses the user or the password")
            }
            "NOPERM" => Self::lasting(ErrorKind::Config, "the server's user lacks rights: grant them"),
            "MOVED" | "ASK" | "CROSSSLOT" => Self::lasting(
                ErrorKind::Config,
                "the server is a node of a cluster that does not have the store's slot",
            ),
            "WRONGTYPE" => Self::lasting(
                ErrorKind::Internal,
                "a key of the store is not what the store made of it: something else writes under its prefix",
            ),
            _ => Self::lasting(ErrorKind::Internal, "the server refuses a command"),
        }
    }

    fn passing(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { passing: true, ..Self::lasting(kind, message) }
    }

    fn lasting(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, passing: false, lost: false, unsure: false }
    }
}
