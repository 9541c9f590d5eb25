//! The request for a login, in the redirect binding (SAML Bindings, 3.4).

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use acople_core::{Error, ErrorKind, Result, Secret};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::certificate::Certificate;
use super::pending::PendingLogin;
use super::provider::Settings;
use super::{POST_BINDING, SAML, SAMLP, escaped};

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// All but what RFC 3986 leaves as it is: the signature is over the encoded text.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Signs requests with RSA and SHA-256.
#[derive(Clone)]
pub struct RequestSigner {
    key: Arc<KeyPair>,
    pub(super) certificate: Certificate,
}

impl RequestSigner {
    /// The certificate to tell the identity provider of and its RSA key, both in PEM; the key is PKCS #8
    /// (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// `Config` that says what is wrong and repeats nothing of the key.
    pub fn new(certificate: &str, key: &Secret) -> Result<Self> {
        let certificate = Certificate::parse(certificate)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::config("certificate", "there is no certificate"))?;
        let wrong =
            || Error::config("private_key", "is not an RSA key of 2,048 bits or more in PEM (PKCS #8)");
        let (_, text) = key.expose().split_once("-----BEGIN PRIVATE KEY-----").ok_or_else(wrong)?;
        let (text, _) = text.split_once("-----END PRIVATE KEY-----").ok_or_else(wrong)?;
        let text = zeroize::Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect::<String>());
        let der = zeroize::Zeroizing::new(STANDARD.decode(text.as_bytes()).map_err(|_| wrong())?);
        let key = KeyPair::from_pkcs8(&der).map_err(|_| wrong())?;
        Ok(Self { key: Arc::new(key), certificate })
    }

    fn sign(&self, text: &str) -> Result<String> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| Error::new(ErrorKind::Internal, "the request could not be signed"))?;
        Ok(STANDARD.encode(signature))
    }
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSigner").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The address that carries the request.
pub(super) fn authn_request(settings: &Settings, pending: &PendingLogin) -> Result<Url> {
    let instant = Timestamp::try_from(pending.begun_at)
        .map_err(|_| Error::new(ErrorKind::Internal, "the clock shows no time that can be written"))?;
    let document = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" ID=\"{id}\" Version=\"2.0\" \
         IssueInstant=\"{instant:.3}\" Destination=\"{destination}\" ProtocolBinding=\"{POST_BINDING}\" \
         AssertionConsumerServiceURL=\"{acs}\"><saml:Issuer>{issuer}</saml:Issuer></samlp:AuthnRequest>",
        id = pending.request_id,
        destination = escaped(settings.idp.sso_url.as_str()),
        acs = escaped(settings.acs_url.as_str()),
        issuer = escaped(&settings.entity_id),
    );
    let mut query = format!(
        "SAMLRequest={}&RelayState={}",
        encoded(&deflated(&document)?),
        encoded(&pending.relay_state)
    );
    if let Some(signer) = &settings.signer {
        query = format!("{query}&SigAlg={}", encoded(RSA_SHA256));
        let signature = signer.sign(&query)?;
        query = format!("{query}&Signature={}", encoded(&signature));
    }
    let mut address = settings.idp.sso_url.clone();
    address.set_query(Some(&match settings.idp.sso_url.query() {
        Some(present) if !present.is_empty() => format!("{present}&{query}"),
        _ => query,
    }));
    Ok(address)
}

fn deflated(document: &str) -> Result<String> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let bytes = encoder.write_all(document.as_bytes()).and_then(|()| encoder.finish());
    bytes
        .map(|bytes| STANDARD.encode(bytes))
        .map_err(|_| Error::new(ErrorKind::Internal, "the request could not be compressed"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
