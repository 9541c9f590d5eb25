//! What a failure of hyper means: by the types of its causes, which say whether anything was sent.

use std::error::Error as StdError;
use std::io;

use acople_core::{Progress, TransportError, WireFault};
use hyper_util::client::legacy;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::connector::TooLate;
use super::resolver::{Refused, Unresolved};

/// Causes looked at: a chain is a handful of links.
const LINKS: usize = 24;

/// The causes of a failure that mean something.
#[derive(Default)]
struct Causes<'a> {
    refused: Option<&'a Refused>,
    unresolved: Option<&'a Unresolved>,
    too_late: Option<&'a TooLate>,
    tls: Option<&'a rustls::Error>,
    http: Option<&'a hyper::Error>,
    http2: Option<&'a h2::Error>,
    system: Option<&'a io::Error>,
}

impl<'a> Causes<'a> {
    fn of(error: &'a (dyn StdError + 'static)) -> Self {
        let mut causes = Self::default();
        let mut next = Some(error);
        for _ in 0..LINKS {
            let Some(link) = next else { break };
            next = link.source();
            if let Some(io) = link.downcast_ref::<io::Error>() {
                causes.system = causes.system.or(Some(io));
                // Its source is what lies behind the error inside it: do not step over that.
                next = io.get_ref().map(|inner| inner as &(dyn StdError + 'static));
            } else if let Some(http2) = link.downcast_ref::<h2::Error>() {
                causes.http2 = causes.http2.or(Some(http2));
                causes.system = causes.system.or(http2.get_io());
            } else {
                causes.refused = causes.refused.or(link.downcast_ref());
                causes.unresolved = causes.unresolved.or(link.downcast_ref());
                causes.too_late = causes.too_late.or(link.downcast_ref());
                causes.tls = causes.tls.or(link.downcast_ref());
                // The outermost one says what became of the request, those behind it why.
                causes.http = causes.http.or(link.downcast_ref());
            }
        }
        causes
    }

    /// The process or the system has no more sockets to give (EMFILE, ENFILE; WSAEMFILE).
    fn is_out_of_sockets(&self) -> bool {
        let codes: &[i32] = if cfg!(windows) { &[10024] } else { &[23, 24] };
        self.system.and_then(io::Error::raw_os_error).is_some_and(|code| codes.contains(&code))
    }

    fn is_timeout(&self) -> bool {
        self.too_late.is_some()
            || self.http.is_some_and(hyper::Error::is_timeout)
            || self.system.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
    }

    fn is_broken(&self) -> bool {
        let by_system = self.system.is_some_and(|io| {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
            matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
        });
        by_system
            || self.http2.is_some_and(|http2| http2.is_remote() && (http2.is_reset() || http2.is_go_away()))
    }

    /// HTTP/2 says when a request was refused unprocessed (RFC 9113, 8.7), and hyper when it never left.
    fn is_unsent(&self) -> bool {
        self.http.is_some_and(|http| http.is_canceled() || http.is_closed())
            || self.http2.is_some_and(|http2| {
                http2.is_reset() && http2.is_remote() && http2.reason() == Some(h2::Reason::REFUSED_STREAM)
            })
    }

    /// The other side broke the rules of HTTP.
    fn is_malformed(&self) -> bool {
        self.http.is_some_and(hyper::Error::is_parse) || self.http2.is_some_and(h2::Error::is_library)
    }
}

/// What a failure before the head of the answer means.
#[inline(never)]
pub(super) fn head(error: legacy::Error) -> TransportError {
    let causes = Causes::of(&error);
    let (progress, fault, message) = if let Some(refused) = causes.refused {
        (Progress::NotSent, WireFault::Forbidden, refused.to_string())
    } else if error.is_connect() {
        let (fault, message) = connecting(&error, &causes);
        (Progress::NotSent, fault, message)
    } else if let Some(reason) = causes.tls.and_then(refused_us) {
        // With TLS 1.3 the client is done with the handshake before the server has looked at its certificate.
        (Progress::NotSent, WireFault::Tls, format!("TLS failed: {reason}"))
    } else {
        let (progress, fault, message) = waiting(&causes);
        (progress, fault, message.to_owned())
    };
    TransportError::new(progress, fault, message).with_source(error)
}

/// What a failure in the body of an answer means.
#[inline(never)]
pub(super) fn body(error: hyper::Error) -> TransportError {
    let causes = Causes::of(&error);
    let (fault, message) = if causes.is_timeout() {
        (WireFault::Timeout, "the body stopped coming")
    } else if causes.is_broken() {
        (WireFault::Reset, "the connection broke in the body")
    } else {
        (WireFault::Malformed, "the body ended early or is broken")
    };
    TransportError::new(Progress::Answered, fault, message).with_source(error)
}

/// A destination refused before it was asked for.
#[inline(never)]
pub(super) fn refused(refused: Refused) -> TransportError {
    TransportError::new(Progress::NotSent, WireFault::Forbidden, refused.to_string()).with_source(refused)
}

/// A request that cannot be written down.
#[inline(never)]
pub(super) fn unsendable(error: http::Error) -> TransportError {
    let message = "the request cannot be sent";
    TransportError::new(Progress::NotSent, WireFault::BadRequest, message).with_source(error)
}

/// Why there is no connection.
fn connecting(error: &legacy::Error, causes: &Causes<'_>) -> (WireFault, String) {
    if causes.is_out_of_sockets() {
        let message =
            "no connection: too many open files; raise the process's limit or lower `max_connections`";
        return (WireFault::Exhausted, message.to_owned());
    }
    if let Some(unresolved) = causes.unresolved {
        return (WireFault::Dns, unresolved.to_string());
    }
    if let Some(tls) = causes.tls {
        return match certificate_or_version(tls) {
            Some(reason) => (WireFault::Tls, format!("TLS failed: {reason}")),
            None => (WireFault::Connect, "no connection: the server broke off TLS".to_owned()),
        };
    }
    if causes.is_timeout() {
        return (WireFault::Timeout, "no connection in time".to_owned());
    }
    if wants_proxy_credentials(error) {
        return (WireFault::BadRequest, "the proxy wants credentials, or others".to_owned());
    }
    (WireFault::Connect, "no connection".to_owned())
}

/// What a failure after the connection was there means.
fn waiting(causes: &Causes<'_>) -> (Progress, WireFault, &'static str) {
    if causes.is_timeout() {
        (Progress::MaybeSent, WireFault::Timeout, "no answer in time")
    } else if causes.is_unsent() {
        (Progress::NotSent, WireFault::Reset, "the connection was closed before the request was processed")
    } else if causes.is_malformed() {
        (Progress::MaybeSent, WireFault::Malformed, "the answer is not HTTP")
    } else {
        (Progress::MaybeSent, WireFault::Reset, "the connection broke before the answer")
    }
}

/// Why TLS cannot work with this server, or `None` when another attempt may.
fn certificate_or_version(error: &rustls::Error) -> Option<&'static str> {
    use CertificateError as Cert;
    use rustls::Error::{
        AlertReceived, InvalidCertificate, InvalidMessage, NoApplicationProtocol,
        PeerIncompatible as Incompatible, PeerMisbehaved,
    };
    Some(match error {
        InvalidCertificate(Cert::Expired | Cert::ExpiredContext { .. }) => "the certificate has expired",
        InvalidCertificate(Cert::NotValidYet | Cert::NotValidYetContext { .. }) => {
            "the certificate is not valid yet"
        }
        InvalidCertificate(Cert::NotValidForName | Cert::NotValidForNameContext { .. }) => {
            "the certificate is for another host"
        }
        InvalidCertificate(Cert::UnknownIssuer) => "the certificate's issuer is not trusted",
        InvalidCertificate(Cert::BadSignature) => "the certificate is not signed by the issuer that we trust",
        InvalidCertificate(Cert::Revoked) => "the certificate was revoked",
        InvalidCertificate(_) => "the certificate is not acceptable",
        AlertReceived(AlertDescription::ProtocolVersion)
        | Incompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server has no version of TLS from 1.2 on",
        AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)
        | Incompatible(_)
        | NoApplicationProtocol => "the server and we have no way of TLS in common",
        AlertReceived(AlertDescription::UnrecognisedName) => "the server does not know this host name",
        AlertReceived(AlertDescription::InternalError | AlertDescription::UserCanceled) => return None,
        AlertReceived(_) => return refused_us(error).or(Some("the server refused it")),
        InvalidMessage(_) | PeerMisbehaved(_) => "the server does not speak TLS",
        _ => "it cannot be set up",
    })
}

/// Why the server does not want our certificate.
fn refused_us(error: &rustls::Error) -> Option<&'static str> {
    use AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = error else { return None };
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => Some("the server wants a client certificate"),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        // Of its signature (RFC 8446, 6.2).
        | Alert::DecryptError
        | Alert::AccessDenied => Some("the server refused our certificate"),
        _ => None,
    }
}

/// By its text: the type of what a proxy answers to CONNECT is not public in hyper-util.
fn wants_proxy_credentials(error: &legacy::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&link| link.source());
    causes.take(LINKS).any(|link| link.to_string().contains("proxy authorization required"))
}
