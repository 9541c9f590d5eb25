//! Reads an assertion that was verified: whether it counts here and now (SAML Profiles, 4.1.4.3), and for whom.

use std::collections::BTreeMap;
use std::time::SystemTime;

use acople_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::SAML;
use super::answer::{Answer, Expected, check_issuer};
use super::signature::refused;
use super::xml::{Element, broken};
use crate::Identity;

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const EMAIL_ADDRESS: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

/// Who the assertion is about. `assertion` was read from bytes that a signature covers.
pub(super) fn read_assertion(expected: &Expected<'_>, assertion: &Element) -> Result<Answer> {
    if !assertion.is(SAML, "Assertion") || assertion.attribute("Version") != Some("2.0") {
        return Err(refused("the signed element is no assertion of SAML 2.0"));
    }
    let id = assertion.attribute("ID").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| broken("the assertion has no id"))?.to_owned();
    check_issuer(expected, one(assertion, "Issuer")?)?;
    let conditions_until = check_conditions(expected, one(assertion, "Conditions")?)?;
    let subject = one(assertion, "Subject")?;
    let confirmed_until = check_confirmation(expected, subject)?;
    let session = check_statement(expected, assertion)?;

    let (mut claims, attributes) = (attributes(assertion)?, &expected.settings.names);
    let first = |name: &Option<String>, claims: &Map<String, Value>| {
        let value = claims.get(name.as_deref()?)?;
        value.as_str().or_else(|| value.get(0)?.as_str()).map(str::to_owned)
    };
    let name_id = subject.only(SAML, "NameID")?;
    let format = name_id.and_then(|name_id| name_id.attribute("Format")).unwrap_or_default();
    let name = name_id.map(Element::text).transpose()?.filter(|name| !name.is_empty());
    let subject = match (&attributes.subject, &name) {
        (Some(attribute), _) => first(&attributes.subject, &claims).ok_or_else(|| {
            refused(format!("the assertion lacks the attribute {attribute}, which names the user"))
        })?,
        (None, Some(_)) if format == TRANSIENT => {
            return Err(refused(
                "the name id changes with each login: set the identity provider to a persistent one, or name an \
                 attribute that is the subject",
            ));
        }
        (None, Some(name)) => name.clone(),
        (None, None) => return Err(refused("the assertion has no name id")),
    };

    let mut identity = Identity::new(&expected.settings.idp.entity_id, subject);
    identity.name = first(&attributes.name, &claims);
    identity.email = match attributes.email {
        Some(_) => first(&attributes.email, &claims),
        None => name.clone().filter(|_| format == EMAIL_ADDRESS),
    };
    for group in attributes.groups.iter().filter_map(|group| claims.get(group)) {
        let values = group.as_array().map_or(std::slice::from_ref(group), Vec::as_slice);
        identity.groups.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    identity.expires_at = session.until;
    // What a logout at the provider needs; no attribute may pass for it.
    for (name, value) in
        [("NameID", name), ("NameIDFormat", Some(format.to_owned())), ("SessionIndex", session.index)]
    {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => claims.insert(name.to_owned(), value.into()),
            None => claims.remove(name),
        };
    }
    identity.claims = claims;
    let usable_until = conditions_until.map_or(confirmed_until, |until| until.min(confirmed_until));
    Ok(Answer { identity, assertion_id: id, usable_until })
}

/// Gives the end of validity.
fn check_conditions(expected: &Expected<'_>, conditions: &Element) -> Result<Option<SystemTime>> {
    let until = check_times(expected, conditions, "the assertion")?;
    let mut restricted = false;
    for condition in conditions.elements() {
        match condition.local.as_str() {
            "AudienceRestriction" if condition.namespace == SAML => {
                restricted = true;
                let audiences = condition.named(SAML, "Audience").map(Element::text);
                if !audiences.collect::<Result<Vec<_>>>()?.contains(&expected.settings.entity_id) {
                    return Err(refused(format!(
                        "the assertion is for another audience: the identity provider has to know this host as {}",
                        expected.settings.entity_id
                    )));
                }
            }
            // Every assertion counts once; none is passed on.
            "OneTimeUse" | "ProxyRestriction" if condition.namespace == SAML => {}
            other => {
                return Err(refused(format!(
                    "the assertion has a condition that is not understood: {other}"
                )));
            }
        }
    }
    if !restricted {
        return Err(refused("the assertion does not say for which audience it is"));
    }
    Ok(until)
}

/// Gives the end of validity of the confirmation that counts.
fn check_confirmation(expected: &Expected<'_>, subject: &Element) -> Result<SystemTime> {
    let mut problem = refused("the subject is not confirmed for a bearer");
    let bearers =
        subject.named(SAML, "SubjectConfirmation").filter(|c| c.attribute("Method") == Some(BEARER));
    for confirmation in bearers {
        match check_bearer(expected, confirmation) {
            Ok(until) => return Ok(until),
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

fn check_bearer(expected: &Expected<'_>, confirmation: &Element) -> Result<SystemTime> {
    let data = one(confirmation, "SubjectConfirmationData")?;
    if data.attribute("Recipient") != Some(expected.settings.acs_url.as_str()) {
        return Err(refused(format!(
            "the assertion is meant for another recipient: the identity provider has to send it to {}",
            expected.settings.acs_url
        )));
    }
    if data.attribute("InResponseTo") != Some(expected.request_id) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "the assertion is not to this login's request (InResponseTo)",
        ));
    }
    let until = check_times(expected, data, "the subject's confirmation")?;
    until.ok_or_else(|| refused("the subject's confirmation does not say how long it is valid"))
}

struct Session {
    index: Option<String>,
    until: Option<SystemTime>,
}

fn check_statement(expected: &Expected<'_>, assertion: &Element) -> Result<Session> {
    let mut session = None;
    for statement in assertion.named(SAML, "AuthnStatement") {
        let until = statement.attribute("SessionNotOnOrAfter").map(instant).transpose()?;
        if until.is_some_and(|until| expected.now >= until + expected.leeway) {
            return Err(refused("the session at the identity provider is over"));
        }
        session
            .get_or_insert(Session { index: statement.attribute("SessionIndex").map(str::to_owned), until });
    }
    session.ok_or_else(|| refused("the assertion does not say that the user logged in (AuthnStatement)"))
}

/// Checks `NotBefore` and `NotOnOrAfter`, and gives the latter.
fn check_times(expected: &Expected<'_>, element: &Element, what: &str) -> Result<Option<SystemTime>> {
    let (now, leeway) = (expected.now, expected.leeway);
    let clocks = "are the clocks set?";
    if let Some(from) = element.attribute("NotBefore").map(instant).transpose()?
        && now + leeway < from
    {
        return Err(refused(format!("{what} is not valid yet: {clocks}")));
    }
    let until = element.attribute("NotOnOrAfter").map(instant).transpose()?;
    if until.is_some_and(|until| now >= until + leeway) {
        return Err(refused(format!("{what} is no longer valid: {clocks}")));
    }
    Ok(until)
}

/// The attributes by their names: a text, or an array of several. Some providers write an attribute once for each value.
fn attributes(assertion: &Element) -> Result<Map<String, Value>> {
    let mut found: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for statement in assertion.named(SAML, "AttributeStatement") {
        for attribute in statement.named(SAML, "Attribute") {
            let name = attribute.attribute("Name").ok_or_else(|| broken("an attribute has no name"))?;
            let values = found.entry(name).or_default();
            // Structured values are none that an identity is made of.
            for value in
                attribute.named(SAML, "AttributeValue").filter(|value| value.elements().next().is_none())
            {
                values.push(value.text()?.into());
            }
        }
    }
    let single = |mut values: Vec<Value>| {
        if values.len() == 1 { values.swap_remove(0) } else { Value::Array(values) }
    };
    Ok(found.into_iter().map(|(name, values)| (name.to_owned(), single(values))).collect())
}

fn one<'a>(parent: &'a Element, local: &str) -> Result<&'a Element> {
    parent.only(SAML, local)?.ok_or_else(|| refused(format!("{} has no {local}", parent.local)))
}

fn instant(text: &str) -> Result<SystemTime> {
    let time: Timestamp = text.parse().map_err(|_| broken("a time is not written as xs:dateTime"))?;
    // Far beyond what a clock shows, sums of times would not fit.
    let latest = Timestamp::MAX - jiff::SignedDuration::from_hours(48);
    SystemTime::try_from(time.min(latest)).map_err(|_| broken("a time is out of range"))
}
