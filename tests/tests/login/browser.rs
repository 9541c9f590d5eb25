//! What a browser does between a host's two halves of a login: follows redirects and keeps cookies.

use std::collections::BTreeMap;

use acople::{Request, Resources};
use http::{HeaderValue, Method};
use url::Url;

/// Where the clients are registered to come back to. Nobody is there: the browser stops before.
pub(crate) const REDIRECT: &str = "https://orders.example.com/login/provider";

/// Follows the provider's redirects, ten at most, to the one that leads back to the host.
pub(crate) async fn visit(url: Url, resources: &Resources) -> String {
    let mut cookies: BTreeMap<String, String> = BTreeMap::new();
    let mut at = url;
    for _ in 0..10 {
        let mut request = Request::new(Method::GET, at.clone());
        let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert("cookie", HeaderValue::from_str(&jar.join("; ")).unwrap());
        let (status, headers, _) = resources.transport.send(request).await.unwrap().into_parts();
        assert!(status.is_redirection(), "{} answers {status}", at.path());
        for cookie in headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        at = at.join(headers["location"].to_str().unwrap()).unwrap();
        if at.as_str().starts_with(REDIRECT) {
            return at.into();
        }
    }
    panic!("too many redirects");
}
