//! Sessions of the host's customers, and the flows that they have begun.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use acople::auth::{Connect, PendingConnect};
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const NAME: &str = "session";

/// More sessions than a demonstration has: a host keeps them elsewhere.
const MOST: usize = 10_000;

/// A flow whose user is at the vendor.
pub(crate) struct Begun {
    pub(crate) connector: String,
    pub(crate) connect: Connect,
    pub(crate) pending: PendingConnect,
}

/// What the host knows of whoever has the cookie. A host of more than one page knows it from its own login.
#[derive(Default)]
struct Session {
    customer: String,
    begun: Option<Begun>,
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    /// The session's name in the cookie, if it is one of ours.
    pub(crate) fn name(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let name = pairs.find_map(|(name, value)| (name == NAME).then(|| value.to_owned()))?;
        self.with(&name, |_| ()).map(|()| name)
    }

    /// A new session. Its name cannot be guessed, and comes from nobody but us.
    pub(crate) fn begin(&self) -> Option<String> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        let name = URL_SAFE_NO_PAD.encode(bytes);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let customer = format!("customer-{}", sessions.len() + 1);
        if sessions.len() >= MOST {
            return None;
        }
        sessions.insert(name.clone(), Session { customer, begun: None });
        Some(name)
    }

    pub(crate) fn customer(&self, name: &str) -> Option<String> {
        self.with(name, |session| session.customer.clone())
    }

    /// Keeps a flow; the one before it is given up.
    pub(crate) fn keep(&self, name: &str, begun: Begun) {
        self.with(name, |session| session.begun = Some(begun));
    }

    /// Takes the flow out: it is good for one callback.
    pub(crate) fn take(&self, name: &str) -> Option<Begun> {
        self.with(name, |session| session.begun.take()).flatten()
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Session) -> T) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name).map(act)
    }
}

/// The header that gives a browser its session: no script sees it, and no other site sends it along, but for the way
/// back from the vendor, which is a link.
pub(crate) fn cookie(name: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={name}; Path=/; HttpOnly; SameSite=Lax{secure}")
}
