#![doc = include_str!("../README.md")]

mod answer;
mod book;
mod cell;
pub mod config;
mod digest;
mod grant;
mod jwt;
mod lifetime;
mod oauth2;
mod pem;
mod percent;
mod redactor;
mod refusal;
mod server_clock;
mod sigv4;
mod static_auth;
mod timestamp;
mod token_endpoint;
mod vault;

pub use digest::{Algorithm, Encoding};
pub use grant::{ClientStyle, Grant, OAuthClient};
pub use oauth2::{OAuth2, OAuth2Builder};
pub use server_clock::ServerClock;
pub use sigv4::{AwsKeys, Payload, SigV4};
pub use static_auth::StaticAuth;
pub use timestamp::TimeFormat;
