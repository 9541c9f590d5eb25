//! Chromium without a window, driven over WebDriver (W3C WebDriver, 2018) with plain requests.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::Process;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name under which elements come (WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with an empty profile of its own, until dropped.
pub struct Browser {
    _driver: Process,
    session: String,
    http: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        // The driver takes any free port and says which.
        let (driver, said) = Process::start(
            Command::new("chromedriver").arg("--port=0"),
            "ChromeDriver was started successfully on port ",
        );
        let port: u16 = said.trim_end_matches('.').parse().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Loopback and nothing else.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ];
        let mut arguments: Vec<String> = flags.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({"binary": "/usr/bin/chromium", "args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let base = format!("http://127.0.0.1:{port}/session");
        let begun = send(&http, Method::POST, &base, &wanted).await.expect("a session of the browser");
        let session = format!("{base}/{}", begun["sessionId"].as_str().unwrap());
        Self { _driver: driver, session, http, _profile: profile }
    }

    pub async fn open(&self, url: &str) {
        self.post("url", &json!({"url": url})).await.unwrap();
    }

    /// Where the browser is.
    pub async fn address(&self) -> String {
        let url = format!("{}/url", self.session);
        send(&self.http, Method::GET, &url, &Value::Null).await.unwrap().as_str().unwrap().to_owned()
    }

    /// The text of an element, once it is there.
    pub async fn text(&self, selector: &str) -> String {
        let url = format!("{}/element/{}/text", self.session, self.find(selector).await);
        send(&self.http, Method::GET, &url, &Value::Null).await.unwrap().as_str().unwrap().to_owned()
    }

    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.post(&format!("element/{element}/click"), &json!({})).await.unwrap();
    }

    pub async fn type_in(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.post(&format!("element/{element}/value"), &json!({"text": text})).await.unwrap();
    }

    /// The browser's cookies for the page, with their flags.
    pub async fn cookies(&self) -> Vec<Value> {
        let url = format!("{}/cookie", self.session);
        send(&self.http, Method::GET, &url, &Value::Null).await.unwrap().as_array().unwrap().clone()
    }

    /// Ends the browser: its processes are the driver's to end.
    pub async fn quit(self) {
        send(&self.http, Method::DELETE, &self.session, &Value::Null).await.unwrap();
    }

    async fn find(&self, selector: &str) -> String {
        let begun = Instant::now();
        loop {
            let wanted = json!({"using": "css selector", "value": selector});
            match self.post("element", &wanted).await {
                Ok(found) => return found[ELEMENT].as_str().unwrap().to_owned(),
                Err(error) if begun.elapsed() > PATIENCE => {
                    panic!("no {selector} at {}: {error}", self.address().await)
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn post(&self, command: &str, body: &Value) -> Result<Value, String> {
        send(&self.http, Method::POST, &format!("{}/{command}", self.session), body).await
    }
}

async fn send(http: &reqwest::Client, method: Method, url: &str, body: &Value) -> Result<Value, String> {
    let mut request = http.request(method, url);
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let ok = answer.status().is_success();
    let mut said: Value = serde_json::from_slice(&answer.bytes().await.map_err(|error| error.to_string())?)
        .map_err(|error| error.to_string())?;
    if ok { Ok(said["value"].take()) } else { Err(said["value"].to_string()) }
}
