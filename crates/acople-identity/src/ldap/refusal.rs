//! What a directory's answers mean for the host.

use acople_core::{Error, ErrorKind};
use ldap3::{LdapError, LdapResult};

/// Result codes of RFC 4511, appendix A.
pub(super) mod code {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const TIME_LIMIT_EXCEEDED: u32 = 3;
    pub(crate) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(crate) const AUTH_METHOD_NOT_SUPPORTED: u32 = 7;
    pub(crate) const STRONGER_AUTH_REQUIRED: u32 = 8;
    pub(crate) const REFERRAL: u32 = 10;
    pub(crate) const ADMIN_LIMIT_EXCEEDED: u32 = 11;
    pub(crate) const CONFIDENTIALITY_REQUIRED: u32 = 13;
    pub(crate) const NO_SUCH_OBJECT: u32 = 32;
    pub(crate) const INVALID_DN_SYNTAX: u32 = 34;
    pub(crate) const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub(crate) const INVALID_CREDENTIALS: u32 = 49;
    pub(crate) const INSUFFICIENT_ACCESS_RIGHTS: u32 = 50;
    pub(crate) const BUSY: u32 = 51;
    pub(crate) const UNAVAILABLE: u32 = 52;
}

/// A bind of the user that was refused. Everything that depends on who the user is, is theirs; the rest as for all.
pub(super) fn of_user(result: &LdapResult) -> Error {
    match result.rc {
        code::TIME_LIMIT_EXCEEDED
        | code::AUTH_METHOD_NOT_SUPPORTED
        | code::STRONGER_AUTH_REQUIRED
        | code::REFERRAL
        | code::ADMIN_LIMIT_EXCEEDED
        | code::CONFIDENTIALITY_REQUIRED
        | code::BUSY
        | code::UNAVAILABLE => of_all(result),
        _ => {
            let reason =
                active_directory(&result.text).unwrap_or("the directory does not accept the password");
            coded(ErrorKind::Reauth, reason, result.rc)
        }
    }
}

/// A bind of the service account that was refused.
pub(super) fn of_service(result: &LdapResult) -> Error {
    match result.rc {
        code::INVALID_CREDENTIALS
        | code::INAPPROPRIATE_AUTHENTICATION
        | code::INVALID_DN_SYNTAX
        | code::INSUFFICIENT_ACCESS_RIGHTS
        | code::NO_SUCH_OBJECT => {
            let reason = active_directory(&result.text).unwrap_or("name or password is wrong");
            coded(ErrorKind::Config, &format!("the service account cannot log in: {reason}"), result.rc)
                .with_field("service_account")
        }
        _ => of_all(result),
    }
}

/// A search that was refused.
pub(super) fn of_all(result: &LdapResult) -> Error {
    let (kind, message) = match result.rc {
        code::TIME_LIMIT_EXCEEDED => {
            (ErrorKind::Timeout, "the directory took longer than the search may take")
        }
        code::ADMIN_LIMIT_EXCEEDED => {
            (ErrorKind::Config, "the search is beyond what the directory's administrator allows")
        }
        code::STRONGER_AUTH_REQUIRED | code::CONFIDENTIALITY_REQUIRED => {
            (ErrorKind::Config, "the directory asks for TLS: use ldaps://, or ldap:// with StartTLS")
        }
        code::AUTH_METHOD_NOT_SUPPORTED => (ErrorKind::Config, "the directory does not take simple binds"),
        code::REFERRAL => {
            (ErrorKind::Config, "the directory refers to another one, which is not followed: name that one")
        }
        code::NO_SUCH_OBJECT | code::INVALID_DN_SYNTAX => {
            (ErrorKind::Config, "the base is not in the directory")
        }
        code::INSUFFICIENT_ACCESS_RIGHTS => (ErrorKind::Config, "the account may not search the directory"),
        code::BUSY | code::UNAVAILABLE => (ErrorKind::Transient, "the directory is busy or unavailable"),
        _ => (ErrorKind::Config, "the directory refuses the operation"),
    };
    coded(kind, message, result.rc)
}

/// A connection that failed. What the library says of it is left out: it may hold what was sent.
pub(super) fn of_connection(error: &LdapError) -> Error {
    match error {
        LdapError::Timeout { .. } => Error::new(ErrorKind::Timeout, "the directory does not answer"),
        LdapError::Io { source } => of_io(source),
        LdapError::Rustls { source } => untrusted(source),
        LdapError::DNSName { .. } => {
            Error::config("url", "the directory's host is no name that a certificate can have")
        }
        LdapError::LdapResult { result } => of_all(result),
        LdapError::FilterParsing => Error::new(ErrorKind::Internal, "the filter cannot be written"),
        _ => Error::new(ErrorKind::Transient, "the connection to the directory ended early"),
    }
}

pub(super) fn of_io(error: &std::io::Error) -> Error {
    if let Some(source) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return untrusted(source);
    }
    Error::new(ErrorKind::Transient, format!("the directory cannot be reached: {}", error.kind()))
}

fn untrusted(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(fault) => {
            Error::config("roots_pem", format!("the directory's certificate is not trusted: {fault}"))
        }
        other => Error::new(ErrorKind::Transient, format!("TLS with the directory failed: {other}")),
    }
}

fn coded(kind: ErrorKind, message: &str, rc: u32) -> Error {
    Error::new(kind, message).with_code(rc.to_string())
}

/// The reason that Active Directory hides in its text, as `data 52e,` (Microsoft, "LDAP result code 49").
fn active_directory(text: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once("data ")?;
    Some(match rest.split(|c: char| !c.is_ascii_alphanumeric()).next()? {
        "525" => "there is no such user",
        "52e" => "the password is wrong",
        "530" => "the user may not log in at this time",
        "531" => "the user may not log in from this machine",
        "532" => "the password is over",
        "533" => "the account is disabled",
        "701" => "the account is over",
        "773" => "the user has to change the password first",
        "775" => "the account is locked",
        _ => return None,
    })
}
