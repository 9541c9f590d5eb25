//! A host that connects its customers' accounts: sends them to the vendor, takes them back, keeps their tokens encrypted,
//! and gives them back.
//!
//! `cargo run --example connect_account` needs nothing but Rust: an invented vendor runs on the loopback interface, and so
//! does a user who clicks. With `--issuer` the same host runs for any authorization server, and the user is you:
//! see `settings.rs`.

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // a program that talks to a person and reads its settings

mod host;
mod issuer;
mod page;
mod session;
mod settings;
mod tour;
mod vendor;

use std::error::Error;
use std::time::Duration;

use settings::Settings;
use tokio::net::TcpListener;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The tour takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(settings) = Settings::read(&arguments)? else {
        return tokio::time::timeout(PATIENCE, tour::tour()).await?;
    };
    let listener = TcpListener::bind(&settings.listen).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let host = host::Host::new(&settings, &address).await?;
    println!("ready {address}");
    axum::serve(listener, host::routes(host)).await?;
    Ok(())
}
