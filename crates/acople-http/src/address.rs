//! Where credentials may be sent at all.

use acople_core::{Error, Result};
use url::{Host, Url};

/// A URL that secrets may travel to: https, or this machine; without credentials and fragment.
///
/// # Errors
/// What is wrong with it, to be put behind its name ("is not a URL"), without repeating any of it.
pub fn secure_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("is not an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials: put them into their own fields");
    }
    if url.fragment().is_some() {
        return Err("has a fragment");
    }
    if url.scheme() == "http" && !is_this_machine(&url) {
        return Err("is plain http: credentials travel over https only");
    }
    Ok(url)
}

/// The same for a base URL, which has no query either.
///
/// # Errors
/// As [`secure_url`].
pub fn secure_base(text: &str) -> Result<Url, &'static str> {
    let url = secure_url(text)?;
    if url.query().is_some() {
        return Err("has a query");
    }
    Ok(url)
}

/// The base URL that a config holds in `field`.
///
/// # Errors
/// `Config` that names the field, when credentials may not travel there or it is no base URL.
pub fn base_url(field: &str, text: &str) -> Result<Url> {
    secure_base(text).map_err(|fault| Error::config(field, format!("the URL {fault}")))
}

/// The base URL of a tenant, whose name stands in the place of `{}`: the host is built from one checked label
/// (RFC 1123, 2.1) and not from a text that may hold a whole host, a port or a path.
///
/// ```
/// use acople_http::tenant_base;
///
/// let base = tenant_base("shop", "https://{}.myshopify.com", "acme-wares")?;
/// assert_eq!(base.as_str(), "https://acme-wares.myshopify.com/");
/// assert!(tenant_base("shop", "https://{}.myshopify.com", "acme.evil.example/").is_err());
/// # Ok::<(), acople_core::Error>(())
/// ```
///
/// # Errors
/// `Config` that names the field: letters, digits and inner hyphens, at most 63 of them, and no name that is
/// encoded (`xn--`).
pub fn tenant_base(field: &str, pattern: &'static str, label: &str) -> Result<Url> {
    if !is_label(label) {
        let message = "is no account's name: letters, digits and hyphens between them, at most 63";
        return Err(Error::config(field, message));
    }
    base_url(field, &pattern.replacen("{}", label, 1))
}

fn is_label(text: &str) -> bool {
    let encoded = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !encoded
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_travel_over_https_or_to_this_machine() {
        for good in
            ["https://a.example/t?x=1", "http://localhost:8080/t", "http://127.0.0.1/t", "http://[::1]/t"]
        {
            assert!(secure_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/t",
            "http://localhost.evil.example/t",
            "ftp://a.example/t",
            "https://u:p@a.example/t",
            "https://a.example/t#x",
            "token",
            "",
        ] {
            assert!(secure_url(bad).is_err(), "{bad}");
        }
        assert!(secure_base("https://a.example/t?x=1").is_err());
        let error = base_url("login_url", "https://u:canary@a.example").unwrap_err();
        assert_eq!(error.fields(), ["login_url"]);
        assert!(!format!("{error:?}").contains("canary"));
    }
}
