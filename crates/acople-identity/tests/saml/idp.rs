//! An identity provider that signs what a test tells it to. What it signs is written in canonical form by hand, so it
//! shares no canonicalization with what it tests.

use std::io::Read;

use acople_identity::saml::Certificate;
use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use url::Url;

pub(crate) const ENTITY: &str = "https://idp.example.com";
pub(crate) const SSO: &str = "https://idp.example.com/sso";
pub(crate) const APP: &str = "https://app.example.com/saml";
pub(crate) const ACS: &str = "https://app.example.com/saml/acs";

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";

pub(crate) enum Key {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair),
}

pub(crate) struct TestIdp {
    key: Key,
    der: Vec<u8>,
}

impl TestIdp {
    pub(crate) fn rsa() -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        Self {
            der: certificate(&key),
            key: Key::Rsa(rsa::KeyPair::from_pkcs8(&key.serialize_der()).unwrap()),
        }
    }

    pub(crate) fn p256() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
        Self { der: certificate(&key), key: Key::Ecdsa(pair) }
    }

    pub(crate) fn p384() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key.serialize_der()).unwrap();
        Self { der: certificate(&key), key: Key::Ecdsa(pair) }
    }

    /// As it stands in metadata.
    pub(crate) fn base64_certificate(&self) -> String {
        STANDARD.encode(&self.der)
    }

    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        let base64 = self.base64_certificate();
        Certificate::parse(&format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n"))
            .unwrap()
    }

    /// Signs an element: canonical text, and its id.
    pub(crate) fn sign(&self, element: &str, id: &str) -> String {
        let (method, hash) = match &self.key {
            Key::Rsa(_) => ("rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"),
            Key::Ecdsa(key) if key.algorithm() == &ECDSA_P256_SHA256_FIXED_SIGNING => {
                ("ecdsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256")
            }
            Key::Ecdsa(_) => ("ecdsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#sha384"),
        };
        self.sign_with(element, id, &format!("{MORE}{method}"), hash)
    }

    /// Signs with the algorithms named. Where the library does not sign with one, the value is one of SHA-256.
    pub(crate) fn sign_with(&self, element: &str, id: &str, method: &str, hash: &str) -> String {
        let algorithm: &Algorithm = match hash.rsplit('#').next().unwrap() {
            "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
            "sha384" => &SHA384,
            "sha512" => &SHA512,
            _ => &SHA256,
        };
        let value = STANDARD.encode(digest(algorithm, element.as_bytes()));
        let info = format!(
            "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>\
             <ds:Reference URI=\"#{id}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>\
             <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{hash}\"></ds:DigestMethod>\
             <ds:DigestValue>{value}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        let signed = format!("<ds:SignedInfo xmlns:ds=\"{DS}\">{info}");
        let value = STANDARD.encode(self.raw(signed.as_bytes(), method));
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DS}\"><ds:SignedInfo>{info}<ds:SignatureValue>{value}</ds:SignatureValue>\
             <ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
             </ds:Signature>",
            self.base64_certificate()
        );
        element.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
    }

    fn raw(&self, bytes: &[u8], method: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ecdsa(key) => key.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Key::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match method.rsplit('#').next().unwrap() {
                    "rsa-sha384" => &RSA_PKCS1_SHA384,
                    "rsa-sha512" => &RSA_PKCS1_SHA512,
                    "sha256-rsa-MGF1" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, bytes, &mut signature).unwrap();
                signature
            }
        }
    }
}

fn certificate(key: &KeyPair) -> Vec<u8> {
    CertificateParams::new(vec!["idp.example.com".to_owned()])
        .unwrap()
        .self_signed(key)
        .unwrap()
        .der()
        .to_vec()
}

/// What an answer says. The defaults are right at noon of 1 January 2026.
#[derive(Clone)]
pub(crate) struct Says {
    pub(crate) issuer: &'static str,
    pub(crate) destination: &'static str,
    pub(crate) recipient: &'static str,
    pub(crate) audience: &'static str,
    pub(crate) request_id: String,
    pub(crate) confirmed_request_id: String,
    pub(crate) not_before: &'static str,
    pub(crate) not_on_or_after: &'static str,
    pub(crate) confirmed_until: &'static str,
    pub(crate) name_id: &'static str,
    pub(crate) name_id_format: &'static str,
    pub(crate) status: &'static str,
    pub(crate) extra_condition: &'static str,
    pub(crate) statement: &'static str,
    pub(crate) assertion_id: String,
}

impl Says {
    pub(crate) fn to(request_id: &str) -> Self {
        Self {
            issuer: ENTITY,
            destination: ACS,
            recipient: ACS,
            audience: APP,
            request_id: request_id.to_owned(),
            confirmed_request_id: request_id.to_owned(),
            not_before: "2026-01-01T11:59:00Z",
            not_on_or_after: "2026-01-01T12:05:00Z",
            confirmed_until: "2026-01-01T12:05:00.000Z",
            name_id: "alice@good.example",
            name_id_format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            status: "urn:oasis:names:tc:SAML:2.0:status:Success",
            extra_condition: "",
            statement: "<saml:AuthnStatement AuthnInstant=\"2026-01-01T11:59:30Z\" SessionIndex=\"s1\" \
                        SessionNotOnOrAfter=\"2026-01-01T20:00:00Z\"></saml:AuthnStatement>",
            assertion_id: "_assertion1".to_owned(),
        }
    }

    /// The assertion in canonical form, without a signature.
    pub(crate) fn assertion(&self) -> String {
        let Self {
            issuer, recipient, audience, not_before, not_on_or_after, confirmed_until, name_id, ..
        } = self;
        let Self { extra_condition, statement, assertion_id, confirmed_request_id, name_id_format, .. } =
            self;
        format!(
            "<saml:Assertion xmlns:saml=\"{SAML}\" ID=\"{assertion_id}\" IssueInstant=\"2026-01-01T11:59:59Z\" \
             Version=\"2.0\"><saml:Issuer>{issuer}</saml:Issuer><saml:Subject>\
             <saml:NameID Format=\"{name_id_format}\">{name_id}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">\
             <saml:SubjectConfirmationData InResponseTo=\"{confirmed_request_id}\" NotOnOrAfter=\"{confirmed_until}\" \
             Recipient=\"{recipient}\"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{not_before}\" NotOnOrAfter=\"{not_on_or_after}\"><saml:AudienceRestriction>\
             <saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>{extra_condition}</saml:Conditions>\
             {statement}<saml:AttributeStatement><saml:Attribute Name=\"displayName\">\
             <saml:AttributeValue>Alice &amp; Co</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"groups\">\
             <saml:AttributeValue>admins</saml:AttributeValue><saml:AttributeValue>staff</saml:AttributeValue>\
             </saml:Attribute></saml:AttributeStatement></saml:Assertion>"
        )
    }

    /// The answer around something, in canonical form if that is.
    pub(crate) fn around(&self, content: &str) -> String {
        let Self { issuer, destination, request_id, status, .. } = self;
        format!(
            "<samlp:Response xmlns:samlp=\"{SAMLP}\" Destination=\"{destination}\" ID=\"_answer1\" \
             InResponseTo=\"{request_id}\" IssueInstant=\"2026-01-01T11:59:59Z\" Version=\"2.0\">\
             <saml:Issuer xmlns:saml=\"{SAML}\">{issuer}</saml:Issuer>\
             <samlp:Status><samlp:StatusCode Value=\"{status}\"></samlp:StatusCode></samlp:Status>{content}\
             </samlp:Response>"
        )
    }
}

/// The part of a text from a start tag to its end tag.
pub(crate) fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(&format!("<{name}")).unwrap();
    let end = text.rfind(&format!("</{name}>")).unwrap() + name.len() + 3;
    &text[start..end]
}

/// The request that an address carries.
pub(crate) fn request(address: &Url) -> String {
    let (_, value) = address.query_pairs().find(|(name, _)| name == "SAMLRequest").unwrap();
    let mut text = String::new();
    flate2::read::DeflateDecoder::new(STANDARD.decode(&*value).unwrap().as_slice())
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// The value of an attribute that stands once in a text.
pub(crate) fn attribute<'a>(text: &'a str, name: &str) -> &'a str {
    text.split_once(&format!(" {name}=\"")).unwrap().1.split_once('"').unwrap().0
}
