//! The authorization servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::process::Process;

/// oidc-provider with its API.
pub struct Server {
    _process: Process,
    /// The issuer, which is also the API's address.
    pub issuer: String,
    keys: Value,
    http: reqwest::Client,
}

impl Server {
    pub fn start(redirects: &[&str]) -> Self {
        let options = json!({"redirects": redirects});
        let (process, ready) = Process::start(
            Command::new("node").arg(script("provider.js")).arg(options.to_string()),
            "ready ",
        );
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let issuer = ready["issuer"].as_str().unwrap().to_owned();
        Self { _process: process, issuer, keys: ready["keys"].clone(), http: reqwest::Client::new() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// The private key of a client, PEM.
    pub fn key(&self, algorithm: &str) -> &str {
        self.keys[algorithm].as_str().unwrap()
    }

    /// Ends all access tokens.
    pub async fn expire(&self) {
        self.control("expire").await;
    }

    /// The next token call is processed, and its answer never comes.
    pub async fn lose_next_answer(&self) {
        self.control("lose").await;
    }

    /// Token calls take so long.
    pub async fn delay(&self, milliseconds: u32) {
        self.control(&format!("delay?ms={milliseconds}")).await;
    }

    /// Token calls so far, by grant and status.
    pub async fn token_calls(&self, grant: &str) -> Vec<u64> {
        let seen = self.control("seen").await;
        let calls = seen["token"].as_array().unwrap();
        calls
            .iter()
            .filter(|call| call["grant"] == grant)
            .map(|call| call["status"].as_u64().unwrap())
            .collect()
    }

    /// Requests that the API refused so far.
    pub async fn refused(&self) -> u64 {
        self.control("seen").await["refused"].as_u64().unwrap()
    }

    async fn control(&self, action: &str) -> Value {
        let answer = self.http.get(self.url(&format!("/control/{action}"))).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

/// oauth2-mock-server, made odd.
pub struct Odd {
    _process: Process,
    pub issuer: String,
    http: reqwest::Client,
}

impl Odd {
    pub fn start() -> Self {
        let (process, ready) = Process::start(Command::new("node").arg(script("odd.js")), "ready ");
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let issuer = ready["issuer"].as_str().unwrap().to_owned();
        Self { _process: process, issuer, http: reqwest::Client::new() }
    }

    /// What the next token answers are like.
    pub async fn next(&self, odd: &Value) {
        let sent = self.http.put(format!("{}/odd", self.issuer)).body(odd.to_string()).send().await.unwrap();
        assert!(sent.status().is_success());
    }

    /// Token calls since then.
    pub async fn calls(&self) -> u64 {
        let answer = self.http.get(format!("{}/calls", self.issuer)).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        answer["calls"].as_u64().unwrap()
    }
}

fn script(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("authorization-server");
    assert!(
        folder.join("node_modules").exists(),
        "the authorization servers are not installed: run tests/authorization-server/install.sh"
    );
    folder.join(name)
}
