//! Links that vendors give: resolved, and held to the connection's origin.

#![deny(clippy::arithmetic_side_effects)]

use acople_core::{Error, ErrorKind, Result};
use url::Url;

/// The URL of a link that the answer to `path` below `base` gave (RFC 3986, 5.2). Without a path, `base` is a
/// folder.
///
/// # Errors
/// [`ErrorKind::Protocol`] when it is no URL or leaves the origin of `base` for one that is not among `others`:
/// credentials never follow a link to another scheme, host or port.
pub(crate) fn resolve(base: &Url, others: &[Url], path: &str, link: &str) -> Result<Url> {
    let mut from = base.clone();
    let folder = base.path().trim_end_matches('/');
    from.set_path(&format!("{folder}{}", if path.is_empty() { "/" } else { path }));
    let url = from
        .join(link)
        .map_err(|_| Error::new(ErrorKind::Protocol, "the vendor gave a link that is no URL"))?;
    let bare = url.username().is_empty() && url.password().is_none();
    // The host is compared as it was parsed: in lower case, in punycode, a trailing dot kept.
    let same = |origin: &Url| {
        url.scheme() == origin.scheme()
            && url.host() == origin.host()
            && url.port_or_known_default() == origin.port_or_known_default()
    };
    if !(bare && (same(base) || others.iter().any(same))) {
        tracing::warn!(
            base = base.host_str().unwrap_or_default(),
            link = url.host_str().unwrap_or_default(),
            "a vendor's link leaves the connection's origin: refused"
        );
        return Err(Error::new(ErrorKind::Protocol, "the vendor gave a link to another origin: refused"));
    }
    Ok(url)
}

/// The target of `rel="next"` in a `Link` header (RFC 8288), if there is one.
///
/// ```
/// let header = r#"<https://api.example.com/x?page=1>; rel="prev", </x?page=3>; rel="next""#;
/// assert_eq!(acople_http::next_link(header), Some("/x?page=3"));
/// ```
pub fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, mut after) = after.split_once('>')?;
        let mut is_next_link = false;
        // Parameters end at a semicolon, the link at a comma; both may stand inside quotes.
        loop {
            let (parameter, end) = parameter(after);
            is_next_link |= is_next(parameter);
            let mut behind = after.get(parameter.len()..)?.chars();
            behind.next();
            after = behind.as_str();
            if end != Some(';') {
                break;
            }
        }
        if is_next_link {
            return Some(target);
        }
        rest = after;
    }
    None
}

/// The text up to the first semicolon or comma outside quotes, and which of the two it was.
fn parameter(text: &str) -> (&str, Option<char>) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => return (text.get(..at).unwrap_or_default(), Some(c)),
            _ => {}
        }
    }
    (text, None)
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("rel")
        && value.trim().trim_matches('"').split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
}
