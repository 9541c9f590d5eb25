#![doc = include_str!("../README.md")]

mod answer;
mod book;
mod cell;
pub mod config;
mod grant;
mod jwt;
mod lifetime;
mod oauth2;
mod pem;
mod redactor;
mod refusal;
mod static_auth;
mod token_endpoint;
mod vault;

pub use grant::{ClientStyle, Grant, OAuthClient};
pub use oauth2::{OAuth2, OAuth2Builder};
pub use static_auth::StaticAuth;
