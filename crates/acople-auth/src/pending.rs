//! What is remembered between the two halves of the connect flow.

use std::fmt;
use std::time::SystemTime;

use acople_core::{Error, ErrorKind, Result, Secret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest as hash_of};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize, Serializer};

/// A flow whose user is at the vendor: the host keeps it in the user's session, on the server's side, and takes
/// it out for [`complete`](crate::Connect::complete).
///
/// It can be serialized. Among its members, the PKCE verifier is a secret: whoever has it and the code of the
/// same flow can redeem the code, if the app has no client secret. A session that is kept in a cookie has to be
/// encrypted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingConnect {
    pub(crate) state: String,
    #[serde(serialize_with = "in_clear")]
    pub(crate) verifier: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
    /// The hash of the session's name.
    pub(crate) session: String,
    pub(crate) redirect_url: String,
    pub(crate) begun_at: SystemTime,
}

impl PendingConnect {
    /// The flow's `state`, by which a host may file it.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Refuses a value that does not come from a flow: without a proper verifier there would be no PKCE.
    pub(crate) fn check(&self) -> Result<()> {
        // What `random_text` makes; RFC 7636, 4.1 begins at 43 characters.
        let is_random = |text: &str| text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok();
        if is_random(&self.state) && is_random(self.verifier.expose()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, "what the session remembers of the flow is damaged"))
    }
}

impl fmt::Debug for PendingConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingConnect").field("begun_at", &self.begun_at).finish_non_exhaustive()
    }
}

/// 256 random bits as text.
pub(crate) fn random_text() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) fn hash(text: &str) -> [u8; 32] {
    hash_of(&SHA256, text.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}

/// SHA-256 as text: what S256 of PKCE is, too.
pub(crate) fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash(text))
}

/// Compares without telling by the time it takes where texts of one length differ.
pub(crate) fn equal(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn in_clear<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(digest(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn random_texts_are_fit_for_a_verifier_and_never_the_same() {
        let texts: std::collections::BTreeSet<String> = (0..100).map(|_| random_text().unwrap()).collect();
        assert_eq!(texts.len(), 100);
        assert!(texts.iter().all(|text| text.len() == 43));
    }
}
