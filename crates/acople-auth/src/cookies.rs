//! Cookies of one vendor's session. Domains and paths do not matter: they go back to the one origin that the
//! client talks to.

use acople_core::{Request, Result, Secret};
use acople_http::Answer;
use http::header::{COOKIE, SET_COOKIE};
use zeroize::Zeroizing;

/// The cookies that an answer sets, `a=1; b=2`; only those named, if any are. Deleted ones are left out.
pub(crate) fn set_by(answer: &Answer, names: &[String]) -> Option<Secret> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for value in answer.headers().get_all(SET_COOKIE) {
        let Ok(text) = value.to_str() else { continue };
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let Some((name, value)) = pair.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        let deleted = attributes.split(';').any(|attribute| {
            let attribute = attribute.trim().to_ascii_lowercase();
            attribute == "max-age=0" || attribute.starts_with("expires=thu, 01 jan 1970")
        });
        let wanted = names.is_empty() || names.iter().any(|wanted| wanted == name);
        if name.is_empty() || value.is_empty() || deleted || !wanted {
            continue;
        }
        pairs.retain(|(other, _)| *other != name);
        pairs.push((name, value));
    }
    if pairs.is_empty() || names.iter().any(|wanted| pairs.iter().all(|(name, _)| name != wanted)) {
        return None;
    }
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| Zeroizing::new(format!("{name}={value}"))).collect();
    let pairs: Vec<&str> = pairs.iter().map(|pair| pair.as_str()).collect();
    Some(Secret::from(pairs.join("; ")))
}

/// Adds cookies to those that the request has; one of the same name is replaced.
pub(crate) fn add(request: &mut Request, cookies: &Secret) -> Result<()> {
    let before = request.headers().get(COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().trim().to_owned();
    let ours: Vec<&str> = cookies.expose().split("; ").collect();
    let mut all: Vec<&str> = before
        .split("; ")
        .filter(|pair| !pair.is_empty() && ours.iter().all(|own| name(own) != name(pair)))
        .collect();
    all.extend(&ours);
    let all = Zeroizing::new(all.join("; "));
    for pair in ours {
        // Vendors echo the value, not the whole header.
        if let Some((_, value)) = pair.split_once('=') {
            request.note_secret(Secret::from(value));
        }
    }
    request.set_secret_header(COOKIE, &all)
}
