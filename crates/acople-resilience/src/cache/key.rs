//! What tells one request from another.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use acople_core::ConnectionKey;
use acople_http::{Asked, Subject};
use http::HeaderValue;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Whose request it is, in full, and what it asks for, as a hash.
///
/// It has no `Debug`: what a customer is called, and what is asked, is printed nowhere.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) connection: Arc<ConnectionKey>,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) subject: Subject,
    request: (u64, u64),
}

impl Key {
    #[cfg(test)]
    pub(crate) fn of(connection: Arc<ConnectionKey>, subject: Subject) -> Self {
        Self { connection, tenant: None, subject, request: (0, 0) }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let ConnectionKey { tenant, connector, connection } = &*self.connection;
        let subject = match &self.subject {
            Subject::Stream(name) | Subject::Action(name) => name.len(),
            _ => 0,
        };
        let tenants = tenant.len() + self.tenant.as_ref().map_or(0, |tenant| tenant.len());
        connector.len() + connection.len() + tenants + subject + size_of::<Self>()
    }
}

/// Hashes requests under keys of this process: who can choose URLs cannot choose two with one hash.
pub(crate) struct Hashed(u64, u64);

impl Hashed {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0), RandomState::new().hash_one(1))
    }

    pub(crate) fn key(&self, asked: &Asked<'_>) -> Key {
        let request = asked.request;
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        request.method().as_str().hash(&mut hasher);
        request.url().as_str().hash(&mut hasher);
        // All of them, not only those that are known to negotiate: vendors choose versions, tenants and forms of
        // the answer by headers of their own.
        let headers = request.headers();
        let mut names: Vec<_> = headers.keys().collect();
        names.sort_unstable_by_key(|name| name.as_str());
        names.len().hash(&mut hasher);
        for name in names {
            name.as_str().hash(&mut hasher);
            let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            values.hash(&mut hasher);
        }
        request.body().hash(&mut hasher);
        let hash = hasher.finish128();
        Key {
            connection: asked.scope.connection().clone(),
            tenant: asked.tenant.map(Arc::from),
            subject: asked.scope.subject().clone(),
            request: (hash.h1, hash.h2),
        }
    }
}
