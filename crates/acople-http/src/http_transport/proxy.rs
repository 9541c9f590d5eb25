//! Proxies: explicit, or the environment's when asked for.

use std::sync::Arc;

use acople_core::{Error, Result, Secret};
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::{Host, Url};

/// Through which proxy requests go.
///
/// A proxy resolves the names of the destinations itself: which addresses it may reach is its own rule then.
/// Destinations that are written as an address are checked all the same. The proxy's own host is reachable wherever
/// it is: it comes from the host's config.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// None.
    #[default]
    Direct,
    /// This one, for all requests: `http://user:password@proxy.example:3128`.
    Url(Secret),
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` say, but for the hosts in `NO_PROXY`; names in lowercase win.
    /// Read once, when the transport is made, and logged without credentials.
    Environment,
}

/// The proxies in use.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    matcher: Option<Arc<Matcher>>,
    /// Where they are, without credentials.
    pub(super) hosts: Vec<Host>,
}

impl Proxy {
    pub(super) fn proxies(&self) -> Result<Proxies> {
        let mut hosts = Vec::new();
        let mut matcher = Matcher::builder();
        match self {
            Self::Direct => return Ok(Proxies::default()),
            Self::Url(url) => matcher = matcher.all(checked("proxy", url, &mut hosts)?.as_str()),
            Self::Environment => {
                if let Some(list) = variable("NO_PROXY") {
                    matcher = matcher.no(list.expose());
                }
                if let Some(url) = variable("HTTPS_PROXY") {
                    matcher = matcher.https(checked("HTTPS_PROXY", &url, &mut hosts)?.as_str());
                }
                if let Some(url) = variable("HTTP_PROXY") {
                    matcher = matcher.http(checked("HTTP_PROXY", &url, &mut hosts)?.as_str());
                }
                if let Some(url) = variable("ALL_PROXY") {
                    matcher = matcher.all(checked("ALL_PROXY", &url, &mut hosts)?.as_str());
                }
                for host in &hosts {
                    tracing::info!(%host, "requests go through a proxy that the environment names");
                }
            }
        }
        Ok(Proxies { matcher: Some(Arc::new(matcher.build())), hosts })
    }
}

impl Proxies {
    /// The proxy for this destination.
    pub(super) fn of(&self, destination: &Uri) -> Option<Intercept> {
        self.matcher.as_ref()?.intercept(destination)
    }

    /// What a proxy that reads the requests for this destination wants to see of us.
    pub(super) fn credentials(&self, destination: &Uri) -> Option<HeaderValue> {
        let matcher = self.matcher.as_ref().filter(|_| destination.scheme_str() == Some("http"))?;
        matcher.intercept(destination)?.basic_auth().cloned()
    }
}

/// The URL of a proxy.
///
/// # Errors
/// `Config` that names `place` and repeats nothing of the URL, which may hold a password.
fn checked(place: &str, url: &Secret, hosts: &mut Vec<Host>) -> Result<Url> {
    let wrong = || Error::config(place, "not the URL of an http or https proxy");
    let text = url.expose();
    // Variables often hold `proxy:3128` alone.
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(wrong)?;
    // What hyper cannot read, it would take for "no proxy".
    url.as_str().parse::<Uri>().map_err(|_| wrong())?;
    hosts.push(url.host().ok_or_else(wrong)?.to_owned());
    Ok(url)
}

/// A variable of the environment, in lowercase or uppercase; `None` when it is empty.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment, when asked to")]
fn variable(name: &str) -> Option<Secret> {
    // In a CGI program `HTTP_PROXY` is the client's header `Proxy` (CVE-2016-5385).
    let is_header = name == "HTTP_PROXY" && std::env::var_os("REQUEST_METHOD").is_some();
    let value = std::env::var(name.to_ascii_lowercase()).ok();
    let value = value.or_else(|| std::env::var(name).ok().filter(|_| !is_header))?;
    Some(value).filter(|value| !value.is_empty()).map(Secret::from)
}
