//! Proxies: explicit, or the environment's when asked for.

use acople_core::{Error, Result, Secret};
use reqwest::NoProxy;
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

/// Proxies for reqwest.
#[derive(Default)]
pub(super) struct Proxies {
    pub(super) proxies: Vec<reqwest::Proxy>,
    /// Where they are, without credentials.
    pub(super) hosts: Vec<Host>,
}

impl Proxy {
    pub(super) fn proxies(&self) -> Result<Proxies> {
        let mut found = Proxies::default();
        match self {
            Self::Direct => {}
            Self::Url(url) => found.add("proxy", url, reqwest::Proxy::all::<Url>, None)?,
            Self::Environment => {
                let except = variable("NO_PROXY").and_then(|list| NoProxy::from_string(list.expose()));
                // The first that matches is taken.
                if let Some(url) = variable("HTTPS_PROXY") {
                    found.add("HTTPS_PROXY", &url, reqwest::Proxy::https, except.clone())?;
                }
                if let Some(url) = variable("HTTP_PROXY") {
                    found.add("HTTP_PROXY", &url, reqwest::Proxy::http, except.clone())?;
                }
                if let Some(url) = variable("ALL_PROXY") {
                    found.add("ALL_PROXY", &url, reqwest::Proxy::all, except)?;
                }
                for host in &found.hosts {
                    tracing::info!(%host, "requests go through a proxy that the environment names");
                }
            }
        }
        Ok(found)
    }
}

impl Proxies {
    /// # Errors
    /// `Config` that names `place` and repeats nothing of the URL, which may hold a password.
    fn add(
        &mut self,
        place: &str,
        url: &Secret,
        proxy: impl FnOnce(Url) -> reqwest::Result<reqwest::Proxy>,
        except: Option<NoProxy>,
    ) -> Result<()> {
        let wrong = || Error::config(place, "not the URL of an http or https proxy");
        let text = url.expose();
        // Variables often hold `proxy:3128` alone.
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(wrong)?;
        self.hosts.push(url.host().ok_or_else(wrong)?.to_owned());
        self.proxies.push(proxy(url).map_err(|_| wrong())?.no_proxy(except));
        Ok(())
    }
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
