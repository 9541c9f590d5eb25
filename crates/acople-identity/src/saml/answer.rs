//! Whether an answer may be believed: its layout, its signatures, and what it says about itself.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use acople_core::{Error, ErrorKind, Result};

use super::assertion::read_assertion;
use super::provider::{Settings, Signed};
use super::signature::{DS, refused, verified};
use super::xml::{Element, broken, parse};
use super::{SAML, SAMLP};
use crate::Identity;

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// What an answer is held against.
pub(super) struct Expected<'a> {
    pub(super) settings: &'a Settings,
    pub(super) request_id: &'a str,
    pub(super) now: SystemTime,
    pub(super) leeway: Duration,
}

/// An answer that is believed.
pub(super) struct Answer {
    pub(super) identity: Identity,
    pub(super) assertion_id: String,
    /// From when on the assertion is refused for its age.
    pub(super) usable_until: SystemTime,
}

impl Answer {
    pub(super) fn read(expected: &Expected<'_>, document: &[u8], max_bytes: usize) -> Result<Self> {
        let root = parse(document, max_bytes)?;
        if !root.is(SAMLP, "Response") {
            return Err(broken("the document is no SAML answer"));
        }
        check_layout(&root)?;
        let certificates = &expected.settings.idp.certificates;
        let is_signed = |element: &Element| element.named(DS, "Signature").next().is_some();

        // The answer as its signature covers it, or as it came: then what it says can only be a reason to refuse.
        let answer_signed = is_signed(&root);
        let answer = if answer_signed { verified(&[&root], certificates)? } else { root };
        check_answer(expected, &answer)?;

        let found = answer.only(SAML, "Assertion")?.ok_or_else(|| refused("the answer has no assertion"))?;
        let assertion_signed = is_signed(found);
        let alone;
        let assertion = if assertion_signed {
            alone = verified(&[&answer, found], certificates)?;
            &alone
        } else {
            found
        };
        let wanted = expected.settings.signed;
        if !assertion_signed && wanted != Signed::Answer {
            return Err(refused("the assertion is not signed: set the identity provider to sign assertions"));
        }
        if !answer_signed && wanted != Signed::Assertion {
            return Err(refused("the answer is not signed: set the identity provider to sign answers"));
        }
        read_assertion(expected, assertion)
    }
}

/// One assertion, right below the root; each signature right below what it signs; no id twice.
fn check_layout(root: &Element) -> Result<()> {
    let mut ids = HashSet::new();
    let mut assertions = 0;
    root.walk(&mut |element, parent| {
        for attribute in &element.attributes {
            if attribute.local.eq_ignore_ascii_case("id") && !ids.insert(attribute.value.as_str()) {
                return Err(refused("the answer has an id twice"));
            }
        }
        let below_root = parent.is_some_and(|parent| std::ptr::eq(parent, root));
        match element.local.as_str() {
            "EncryptedAssertion" => {
                return Err(refused(
                    "the assertion is encrypted: switch the encryption of assertions off at the identity provider",
                ));
            }
            "EncryptedID" | "EncryptedAttribute" => {
                return Err(refused("a part of the assertion is encrypted, which is not supported"));
            }
            "Response" if parent.is_some() => return Err(refused("the answer has an answer in it")),
            "Assertion" => {
                assertions += 1;
                if assertions > 1 {
                    return Err(refused("the answer has more than one assertion"));
                }
                if element.namespace != SAML || !below_root {
                    return Err(refused("the assertion does not stand where it belongs"));
                }
            }
            "Signature" => {
                let signs_its_parent = parent.is_some_and(|parent| {
                    std::ptr::eq(parent, root) || (parent.is(SAML, "Assertion") && parent.named(DS, "Signature").count() == 1)
                });
                if element.namespace != DS || !signs_its_parent {
                    return Err(refused("a signature does not stand where it belongs"));
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// What the answer says about itself. Unsigned, it is no more than a second look: the assertion says it, too.
fn check_answer(expected: &Expected<'_>, answer: &Element) -> Result<()> {
    let settings = expected.settings;
    if answer.attribute("Version") != Some("2.0") {
        return Err(refused("the answer is not of SAML 2.0"));
    }
    if answer.attribute("Destination") != Some(settings.acs_url.as_str()) {
        return Err(refused(format!(
            "the answer is meant for another address (Destination): the identity provider has to send it to {}",
            settings.acs_url
        )));
    }
    if answer.attribute("InResponseTo") != Some(expected.request_id) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "the answer is not to this login's request (InResponseTo)",
        ));
    }
    if let Some(issuer) = answer.only(SAML, "Issuer")? {
        check_issuer(expected, issuer)?;
    }
    let status = answer.only(SAMLP, "Status")?.ok_or_else(|| broken("the answer has no status"))?;
    let code = status.only(SAMLP, "StatusCode")?.ok_or_else(|| broken("the answer has no status code"))?;
    if code.attribute("Value") == Some(SUCCESS) {
        return Ok(());
    }
    let inner = code.only(SAMLP, "StatusCode")?.unwrap_or(code);
    let value = inner.attribute("Value").unwrap_or_default();
    let reason = value.rsplit(':').next().unwrap_or_default();
    Err(refused(format!("the identity provider has not logged the user in ({reason})")).with_code(value))
}

pub(super) fn check_issuer(expected: &Expected<'_>, issuer: &Element) -> Result<()> {
    let wanted = &expected.settings.idp.entity_id;
    if issuer.text()? == *wanted {
        return Ok(());
    }
    Err(refused(format!("the answer is of another issuer than {wanted}")))
}
