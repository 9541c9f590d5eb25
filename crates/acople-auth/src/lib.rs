#![doc = include_str!("../README.md")]

mod answer;
mod app_secret_proof;
mod book;
mod cell;
pub mod config;
mod digest;
mod grant;
mod jwt;
mod lifetime;
mod nonce;
mod oauth1;
mod oauth2;
mod pem;
mod percent;
mod raw_json;
mod redactor;
mod refusal;
mod server_clock;
mod signing;
mod sigv4;
mod static_auth;
mod timestamp;
mod token_endpoint;
mod vault;

pub use app_secret_proof::AppSecretProof;
pub use digest::{Algorithm, Encoding};
pub use grant::{ClientStyle, Grant, OAuthClient};
pub use oauth1::{OAuth1, OAuth1Keys, OAuth1Method};
pub use oauth2::{OAuth2, OAuth2Builder};
pub use server_clock::ServerClock;
pub use signing::{KeyForm, Put, RequestSigner, RequestSigning, SigningRule};
pub use sigv4::{AwsKeys, Payload, SigV4};
pub use static_auth::StaticAuth;
pub use timestamp::TimeFormat;
