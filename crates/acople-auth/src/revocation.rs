//! Gives tokens back to the vendor (RFC 7009).

use std::sync::Arc;

use acople_core::{Clock, Context, Error, Resources, Result, Secret};
use acople_http::{Answer, Call, Client, Repeat, secure_url};
use http::header::AUTHORIZATION;
use url::Url;

use crate::answer::Wanted;
use crate::grant::{Form, OAuthClient};
use crate::redactor::Redactor;
use crate::refusal::refusal;
use crate::token_endpoint::client;

const OPERATION: &str = "revoke the tokens";

/// A vendor's revocation endpoint.
#[derive(Debug)]
pub(crate) struct Revocation {
    url: Url,
    client: Client,
    tenant: String,
    clock: Arc<dyn Clock>,
}

impl Revocation {
    /// # Errors
    /// `Config` that names the field.
    pub(crate) fn new(url: &str, resources: &Resources) -> Result<Self> {
        let url = secure_url(url)
            .map_err(|fault| Error::config("revocation_url", format!("the revocation URL {fault}")))?;
        let client = client(&url, false, resources)?;
        Ok(Self { url, client, tenant: resources.tenant.clone(), clock: resources.clock.clone() })
    }

    /// Revokes the refresh token, and with it what came of it; without one, or where the vendor takes none,
    /// the access token.
    pub(crate) async fn revoke(
        &self,
        oauth: &OAuthClient,
        token_url: &str,
        refresh: Option<&Secret>,
        access: Option<&Secret>,
    ) -> Result<()> {
        if let Some(token) = refresh {
            match self.ask(oauth, token_url, token, "refresh_token").await {
                Err(error) if error.code() == Some("unsupported_token_type") && access.is_some() => {}
                result => return result,
            }
        }
        match access {
            Some(token) => self.ask(oauth, token_url, token, "access_token").await,
            None => Ok(()),
        }
    }

    async fn ask(&self, oauth: &OAuthClient, token_url: &str, token: &Secret, hint: &str) -> Result<()> {
        let mut redactor = Redactor::default();
        redactor.add(token);
        let mut form: Form = vec![("token".into(), token.clone()), ("token_type_hint".into(), hint.into())];
        let header = oauth.identify(&mut form, token_url, self.clock.now())?;
        if let Some(secret) = &oauth.secret {
            redactor.add(secret);
        }
        let mut call = Call::post(OPERATION)
            .link(self.url.as_str())
            .form(form.iter().map(|(name, value)| (name.as_ref(), value.expose())))
            .any_content()
            .repeat(Repeat::Harmless);
        if let Some(header) = header {
            call = call.header(AUTHORIZATION, header.header_value()?);
        }
        let cx = Context::new().with_tenant(self.tenant.as_str());
        let answer = self.client.send(&cx, &call).await.map_err(|error| redactor.error(error))?;
        read(&answer, &redactor)
    }
}

/// A token that the vendor does not know is as good as revoked (RFC 7009, 2.2).
fn read(answer: &Answer, redactor: &Redactor) -> Result<()> {
    if answer.status().is_success() {
        return Ok(());
    }
    let said = Wanted::default().read(answer.body()).unwrap_or_default();
    if matches!(said.code.as_deref(), Some("invalid_token" | "invalid_grant")) {
        return Ok(());
    }
    Err(refusal(answer, &said, false, redactor).error.with_operation(OPERATION))
}
