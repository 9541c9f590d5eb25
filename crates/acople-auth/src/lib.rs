#![doc = include_str!("../README.md")]

mod answer;
mod app;
mod book;
mod callback;
mod cell;
pub mod config;
mod connect;
mod device;
mod events;
mod grant;
mod id_token;
mod jwt;
mod lifetime;
mod oauth2;
mod pem;
mod pending;
mod redactor;
mod refusal;
mod revocation;
mod static_auth;
mod token_endpoint;
mod vault;

pub use app::OAuthApp;
pub use connect::Connect;
pub use device::{DeviceCode, DeviceFlow};
pub use events::{TokenEvent, TokenEvents, TokenObserver};
pub use grant::{ClientStyle, Grant, OAuthClient, Rotation};
pub use oauth2::{OAuth2, OAuth2Builder};
pub use pending::PendingConnect;
pub use static_auth::StaticAuth;
