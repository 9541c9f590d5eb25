//! The connect flow for logins: the host wants to know who came, and keeps no tokens.

use std::fmt;

use acople_core::{Error, ErrorKind, Result, Secret};

use super::{Connect, OPERATION, ask};
use crate::pending::PendingConnect;

/// What the token endpoint gave for the code of a login. Nothing of it is verified yet, and nothing is stored.
#[non_exhaustive]
pub struct LoginTokens {
    /// OpenID Connect's token about the user. Its signature and claims are to be verified, its nonce to be compared.
    pub id_token: Secret,
    /// The token for the user's data at the vendor.
    pub access_token: Secret,
    /// The nonce that the flow began with.
    pub nonce: String,
}

impl fmt::Debug for LoginTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginTokens").finish_non_exhaustive()
    }
}

impl Connect {
    /// Ends a flow like [`complete`](Self::complete), for a host that lets its users log in: gives the tokens to be
    /// verified, and stores none. Many users may be on their way at once.
    ///
    /// That a callback counts once is remembered in this process; other processes rely on the authorization server,
    /// which takes a code once (RFC 6749, 4.1.2), and on the session, which gives `pending` away once.
    ///
    /// # Errors
    /// As [`complete`](Self::complete); [`Config`](ErrorKind::Config) for a flow without
    /// [`openid`](Self::openid), [`Protocol`](ErrorKind::Protocol) when no id token came.
    pub async fn redeem(
        &self,
        session: &str,
        pending: PendingConnect,
        callback: &str,
    ) -> Result<LoginTokens> {
        self.tokens(session, pending, callback).await.map_err(|error| match error.operation() {
            Some(_) => error,
            None => error.with_operation(OPERATION),
        })
    }

    async fn tokens(&self, session: &str, pending: PendingConnect, callback: &str) -> Result<LoginTokens> {
        let nonce =
            pending.nonce.clone().ok_or_else(|| Error::config("openid", "a login asks for an id token"))?;
        let (code, _) = self.accept(session, &pending, callback)?;
        let (answer, _) = ask(&self.app, code, pending).await?;
        let id_token = answer
            .id_token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the id token is not there"))?;
        Ok(LoginTokens { id_token, access_token: answer.access.unwrap_or_default(), nonce })
    }
}
