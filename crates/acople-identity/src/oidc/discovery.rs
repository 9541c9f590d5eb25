//! What an identity provider says of itself (OpenID Connect Discovery 1.0, 3 and 4).

use acople_core::{Context, Error, ErrorKind, Result, printable};
use acople_http::{Call, Client, secure_url};
use serde_json::{Map, Value};
use url::Url;

use super::config::OidcConfig;
use crate::json;
use crate::jwks::about_host;

const OPERATION: &str = "fetch the identity provider's metadata";

/// Largest document, in bytes.
pub(crate) const MAX_BYTES: usize = 256 << 10;

/// Longest foreign name in a message, in bytes.
const SHOWN: usize = 200;

/// The parts of the metadata that a login uses, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metadata {
    pub(crate) authorize: Url,
    pub(crate) token: Url,
    pub(crate) keys: Url,
    pub(crate) userinfo: Option<Url>,
    /// Callbacks say which server they are from (RFC 9207).
    pub(crate) names_issuer: bool,
    /// The client's secret goes into the form instead of the header.
    pub(crate) secret_in_form: bool,
}

/// Where an issuer's metadata are.
///
/// # Errors
/// `Config` for an issuer that is no https URL.
pub(crate) fn metadata_url(issuer: &str) -> Result<Url> {
    let fault = |fault: &str| Error::config("issuer", format!("the issuer {fault}"));
    let checked = secure_url(issuer).map_err(fault)?;
    if checked.query().is_some() {
        return Err(fault("has a query"));
    }
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    secure_url(&url).map_err(fault)
}

pub(crate) async fn fetch(client: &Client, url: &Url, tenant: &str, config: &OidcConfig) -> Result<Metadata> {
    let cx = Context::new().with_tenant(tenant);
    let call = Call::get(OPERATION).link(url.as_str()).uncached();
    let answer = client.send(&cx, &call).await.map_err(|error| about_host(error, url))?;
    let members = json::object(answer.body()).map_err(|fault| {
        let host = url.host_str().unwrap_or_default();
        let text = format!("the metadata of {host} {fault}: is the issuer right?");
        Error::new(ErrorKind::Protocol, text).with_operation(OPERATION)
    })?;
    read(&members, config).map_err(|error| error.with_operation(OPERATION))
}

fn read(members: &Map<String, Value>, config: &OidcConfig) -> Result<Metadata> {
    let issuer = members.get("issuer").and_then(Value::as_str).unwrap_or_default();
    // Discovery, 4.3: letter by letter, or one provider could speak for another.
    if issuer != config.issuer {
        let text = format!(
            "the metadata say that the issuer is {}, and {} is configured: write it letter by letter, the last slash included; where it has a place for a tenant, name the tenant",
            printable(issuer, SHOWN),
            config.issuer
        );
        return Err(Error::config("issuer", text));
    }
    let endpoint = |name: &str| {
        let text = members.get(name).and_then(Value::as_str);
        let text = text.ok_or_else(|| protocol(&format!("the metadata have no {name}")))?;
        secure_url(text).map_err(|fault| protocol(&format!("the metadata's {name} {fault}")))
    };
    let listed = |name: &str| match members.get(name) {
        Some(Value::Array(items)) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>()),
        _ => None,
    };
    if let Some(theirs) = listed("id_token_signing_alg_values_supported")
        && !config.algorithms.iter().any(|ours| theirs.contains(&ours.as_str()))
    {
        let text = format!(
            "the identity provider signs id tokens with {}: name one of these in algorithms, and register the client with it",
            printable(&theirs.join(", "), SHOWN)
        );
        return Err(Error::config("algorithms", text));
    }
    let methods = listed("token_endpoint_auth_methods_supported");
    let takes = |method: &str| methods.as_ref().is_none_or(|methods| methods.contains(&method));
    let secret_in_form = !takes("client_secret_basic");
    if config.client_secret.is_some() && secret_in_form && !takes("client_secret_post") {
        let text = "the identity provider takes no client secret, neither in the header nor in the form";
        return Err(Error::config("client_secret", text));
    }
    let userinfo = match (config.userinfo, members.contains_key("userinfo_endpoint")) {
        (true, true) => Some(endpoint("userinfo_endpoint")?),
        (true, false) => {
            return Err(Error::config("userinfo", "the identity provider has no userinfo endpoint"));
        }
        (false, _) => None,
    };
    Ok(Metadata {
        authorize: endpoint("authorization_endpoint")?,
        token: endpoint("token_endpoint")?,
        keys: endpoint("jwks_uri")?,
        userinfo,
        names_issuer: members.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
        secret_in_form,
    })
}

fn protocol(text: &str) -> Error {
    Error::new(ErrorKind::Protocol, text)
}
