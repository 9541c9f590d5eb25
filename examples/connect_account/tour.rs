//! The whole dance, with a user who is a script.

use std::sync::Arc;

use acople::http::{Call, Client, HttpTransport, TransportConfig};
use acople::{Context, Resources, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::Outcome;
use crate::host::{self, CONNECTOR, Host};
use crate::settings::Settings;
use crate::vendor::{CLIENT_ID, CLIENT_SECRET, Vendor};

pub(crate) async fn tour() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let vendor = Vendor::start(format!("{address}/callback")).await?;
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| "the system has no random numbers")?;
    let settings = Settings {
        issuer: vendor.issuer.clone(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(Secret::from(CLIENT_SECRET)),
        scope: "orders".to_owned(),
        listen: String::new(),
        store: folder.path().join("accounts.redb"),
        master_key: Secret::from(STANDARD.encode(key)),
    };
    let host = Host::new(&settings, &address).await?;
    let routes = host::routes(host.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });

    println!("1. A customer of the host asks to connect an account, and is sent to the vendor.");
    let mut user = User::new(&address)?;
    let at_vendor = user.get(&format!("{address}/connect/{CONNECTOR}")).await?.location()?;

    println!("2. At the vendor the customer agrees, and is sent back with a code.");
    let form = user.get(&at_vendor).await?.form()?;
    let back = user.post(&format!("{}/authorize", vendor.issuer), &form).await?.location()?;

    println!(
        "3. Somebody else's browser comes back with the same address: refused, and the code is not spent."
    );
    let mut other = User::new(&address)?;
    other.get(&format!("{address}/connect/{CONNECTOR}")).await?;
    let refused = other.get(&back).await?;
    expect(
        refused.status == 400 && refused.body.contains("does not belong"),
        "a foreign callback was taken",
    )?;

    println!("4. The customer's own comes back: the host redeems the code, and stores the tokens encrypted.");
    user.get(&back).await?.location()?;
    let page = user.get(&format!("{address}/accounts")).await?.body;
    expect(page.contains("connected"), "the account is not connected")?;
    let file = std::fs::read(&settings.store)?;
    let plain =
        |secret: &Secret| file.windows(secret.expose().len()).any(|part| part == secret.expose().as_bytes());
    let stored = vendor.refresh_tokens();
    expect(stored.len() == 1 && !stored.iter().any(plain), "a token lies in the file as it is")?;
    let again = user.get(&back).await?;
    expect(again.status == 400, "a callback was taken twice")?;

    println!(
        "5. The host reads the account. The access token ends, and is renewed without anybody noticing."
    );
    let config = TransportConfig::default().allow_loopback();
    let resources = Resources::new(Arc::new(HttpTransport::new(&config)?));
    let auth = Arc::new(host.provider("customer-1")?);
    let client = Client::with_resources(&vendor.issuer, &resources)?.auth(auth).build();
    for _ in 0..2 {
        let orders: Orders =
            client.send(&Context::new(), &Call::get("read orders").path(["orders"])).await?.json()?;
        println!("   {} orders, {} renewals so far", orders.orders.len(), vendor.renewals());
        vendor.end_access();
    }
    expect(vendor.renewals() == 1, "one renewal was expected")?;

    println!(
        "6. The customer disconnects the account: the vendor takes the grant back, the host forgets the tokens."
    );
    let form = [("connector".to_owned(), CONNECTOR.to_owned())];
    user.post(&format!("{address}/disconnect"), &form).await?.location()?;
    let page = user.get(&format!("{address}/accounts")).await?.body;
    expect(page.contains("None") && vendor.refresh_tokens().is_empty(), "the account is still connected")?;
    println!("Done.");
    Ok(())
}

#[derive(Deserialize)]
struct Orders {
    orders: Vec<serde_json::Value>,
}

fn expect(holds: bool, fault: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(fault.into()) }
}

/// A browser that does what it is told.
struct User {
    http: reqwest::Client,
    host: String,
    cookie: Option<String>,
}

struct Seen {
    status: u16,
    location: Option<String>,
    body: String,
}

impl User {
    fn new(host: &str) -> Outcome<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, host: host.to_owned(), cookie: None })
    }

    async fn get(&mut self, url: &str) -> Outcome<Seen> {
        let request = self.http.get(url);
        self.send(url, request).await
    }

    async fn post(&mut self, url: &str, form: &[(String, String)]) -> Outcome<Seen> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request =
            self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        self.send(url, request).await
    }

    /// The cookie goes to the host alone.
    async fn send(&mut self, url: &str, mut request: reqwest::RequestBuilder) -> Outcome<Seen> {
        let at_host = url.starts_with(&self.host);
        if let Some(cookie) = self.cookie.as_ref().filter(|_| at_host) {
            request = request.header(COOKIE, cookie);
        }
        let answer = request.send().await?;
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(cookie) = header(SET_COOKIE).filter(|_| at_host) {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        let (status, location) = (answer.status().as_u16(), header(LOCATION));
        Ok(Seen { status, location, body: answer.text().await? })
    }
}

impl Seen {
    fn location(self) -> Outcome<String> {
        let status = self.status;
        self.location.ok_or_else(|| format!("no redirect, but {status}: {}", self.body).into())
    }

    /// The hidden fields of the page's form.
    fn form(&self) -> Outcome<Vec<(String, String)>> {
        let attribute = |tag: &str, name: &str| {
            let (_, rest) = tag.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let inputs = self.body.split("<input").skip(1);
        let fields: Vec<_> =
            inputs.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?))).collect();
        if fields.is_empty() { Err(format!("no form: {}", self.body).into()) } else { Ok(fields) }
    }
}
