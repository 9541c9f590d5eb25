//! Signed heads: what a log was at some moment, to be kept where its writer cannot change it.
//!
//! A head is one line of JSON as a record is. What is signed is `acople audit head 1`, a line's end, and the line of
//! the head with an empty `sig`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use acople_core::Result;

use crate::{Chain, PublicKey, SigningKey};

const DOMAIN: &str = "acople audit head 1\n";
const VERSION: u32 = 1;

/// The number and the digest of a log's last record, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Head {
    // In alphabetical order: the order of the members is part of the format.
    /// When it was signed, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// The record's digest, in hex.
    pub hash: String,
    /// The id of the public key.
    pub key: String,
    /// The log's id.
    pub log: String,
    /// The record's number.
    pub seq: u64,
    /// The signature, in Base64.
    pub sig: String,
    /// The format's version: 1.
    pub v: u32,
}

impl Head {
    /// Signs the end of a log.
    pub fn sign(chain: &Chain, at: SystemTime, key: &SigningKey) -> Self {
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut head = Self {
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            hash: chain.hash().to_owned(),
            key: key.public_key().id(),
            log: chain.log().to_owned(),
            seq: chain.seq(),
            sig: String::new(),
            v: VERSION,
        };
        head.sig = key.sign(&head.signed_text());
        head
    }

    /// Reads a line, without its end; `None` when it is not exactly what a head is written as.
    pub fn of(line: &[u8]) -> Option<Self> {
        let head: Self = serde_json::from_slice(line).ok()?;
        (head.v == VERSION && head.line().as_bytes() == line).then_some(head)
    }

    /// The head's line, without its end.
    pub fn line(&self) -> String {
        // A struct of texts and numbers always becomes JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// `Protocol` when it is not one of this key.
    pub fn verify(&self, key: &PublicKey) -> Result<()> {
        key.verify(&self.signed_text(), &self.sig)
    }

    fn signed_text(&self) -> Vec<u8> {
        let unsigned = Self { sig: String::new(), ..self.clone() };
        [DOMAIN, &unsigned.line()].concat().into_bytes()
    }
}

/// Where heads are kept: best where whoever can change the log cannot, such as another machine, an object store
/// with retention, or a mailbox.
#[async_trait]
pub trait HeadSink: Send + Sync + fmt::Debug + 'static {
    /// Keeps a head. When it fails, the log goes on and a later head is offered.
    async fn keep(&self, head: &Head) -> Result<()>;
}
