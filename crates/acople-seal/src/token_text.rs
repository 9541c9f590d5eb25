//! Tokens as the text that a store seals: one form for all stores.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result, Secret, TokenSet};

/// The text of tokens, to be sealed at once.
///
/// ```
/// use acople_core::{Secret, TokenSet};
/// use acople_seal::{token_text, tokens_of_text};
///
/// # fn main() -> acople_core::Result<()> {
/// let access = Secret::from("short-lived");
/// let tokens = TokenSet { access, refresh: None, expires_at: None, endpoint: None, extra: Default::default() };
/// assert_eq!(tokens_of_text(&token_text(&tokens)?)?.access.expose(), "short-lived");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Invalid` for tokens that end before 1970.
pub fn token_text(tokens: &TokenSet) -> Result<Zeroizing<Vec<u8>>> {
    let to_store = ToStore {
        access: tokens.access.expose(),
        refresh: tokens.refresh.as_ref().map(Secret::expose),
        expires_at: tokens.expires_at,
        endpoint: tokens.endpoint.as_ref().map(Url::as_str),
        extra: &tokens.extra,
    };
    // Room for the worst case of escaping, so that the buffer never moves and leaves a copy behind.
    let texts = [Some(to_store.access), to_store.refresh, to_store.endpoint];
    let texts = texts.into_iter().flatten().map(str::len).sum::<usize>();
    let extra: usize = tokens.extra.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(6 * (texts + extra) + 512));
    serde_json::to_writer(&mut *text, &to_store)
        .map_err(|_| Error::new(ErrorKind::Invalid, "tokens that end before 1970 cannot be stored"))?;
    Ok(text)
}

/// The tokens of a text that was opened.
///
/// # Errors
/// `Internal` when it is not the text of tokens. Nothing of the text is in the error.
pub fn tokens_of_text(text: &[u8]) -> Result<TokenSet> {
    let unknown = |what: &str| Error::new(ErrorKind::Internal, format!("their {what} is not understood"));
    let stored: Stored = serde_json::from_slice(text).map_err(|_| unknown("content"))?;
    let endpoint = match stored.endpoint.as_deref().map(Url::parse) {
        None => None,
        Some(Ok(url)) => Some(url),
        Some(Err(_)) => return Err(unknown("endpoint")),
    };
    Ok(TokenSet {
        access: stored.access,
        refresh: stored.refresh,
        expires_at: stored.expires_at,
        endpoint,
        extra: stored.extra,
    })
}

/// Tokens on their way out of the store.
#[derive(Deserialize)]
struct Stored {
    access: Secret,
    refresh: Option<Secret>,
    expires_at: Option<SystemTime>,
    endpoint: Option<String>,
    extra: BTreeMap<String, String>,
}

/// Tokens on their way in: `Secret` has no serializer, so that this is the only place.
#[derive(Serialize)]
struct ToStore<'a> {
    access: &'a str,
    refresh: Option<&'a str>,
    expires_at: Option<SystemTime>,
    endpoint: Option<&'a str>,
    extra: &'a BTreeMap<String, String>,
}
