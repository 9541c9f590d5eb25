//! Login with OpenID Connect.

mod config;
mod discovery;
mod id_token;
mod login;
mod userinfo;

pub use config::OidcConfig;
pub use login::OidcLogin;
