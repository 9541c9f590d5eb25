//! Apps and connections at the real server, as a host has them.

use std::sync::{Arc, Mutex};

use acople::auth::{
    ClientStyle, Connect, OAuth2, OAuthApp, OAuthClient, Rotation, TokenEvent, TokenEvents, TokenObserver,
};
use acople::http::{Call, Client, HttpTransport, TransportConfig};
use acople::{ConnectionKey, Context, ErrorKind, Generation, Resources, Result, TokenSet};
use acople_testkit::memory::MemoryStore;
use serde_json::Value;

use crate::server::Server;
use crate::user::{Manners, User};

/// Nobody listens there: the user's way back is read and not followed.
pub const REDIRECT: &str = "http://127.0.0.1:9/callback";
pub const SESSION: &str = "the session of the user";

/// What the host was told.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl TokenObserver for Told {
    fn event(&self, _: &ConnectionKey, event: &TokenEvent<'_>) {
        let name = match event {
            TokenEvent::Renewed { rotated, .. } => format!("renewed, rotated: {rotated}"),
            TokenEvent::Parked { error } => format!("parked: {:?}", error.kind()),
            other => format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
        };
        self.0.lock().unwrap().push(name);
    }
}

pub fn resources() -> Resources {
    let config = TransportConfig::default().allow_loopback();
    Resources::new(Arc::new(HttpTransport::new(&config).unwrap())).with_tokens(Arc::new(MemoryStore::new()))
}

pub fn basic(id: &str, secret: &str) -> OAuthClient {
    OAuthClient { id: id.into(), secret: Some(secret.into()), style: ClientStyle::Basic }
}

pub fn public(id: &str) -> OAuthClient {
    OAuthClient { id: id.into(), secret: None, style: ClientStyle::Body }
}

/// An app of the server's, with its issuer checked.
pub fn app(server: &Server, client: OAuthClient, resources: &Resources) -> OAuthApp {
    OAuthApp::new("example", &server.url("/token"), client, resources)
        .unwrap()
        .scope("openid contacts orders")
        .issuer(server.issuer.as_str())
        .rotation(Rotation::Always)
        .revocation_url(&server.url("/token/revocation"))
        .unwrap()
}

pub fn connect(server: &Server, client: OAuthClient, resources: &Resources) -> Connect {
    Connect::new(app(server, client, resources), &server.url("/auth"), REDIRECT)
        .unwrap()
        .openid()
        .require_issuer()
        .unwrap()
}

/// The whole flow, with a user of these manners.
pub async fn connected(connect: &Connect, manners: Manners) -> Result<OAuth2> {
    let (url, pending) = connect.begin(SESSION)?;
    let callback = User::new(manners).visit(&url, REDIRECT).await;
    connect.complete(SESSION, pending, &callback).await
}

/// A connection of the app with basic authentication, and what the host is told of it.
pub async fn connection(server: &Server) -> (OAuth2, Resources, Told) {
    let told = Told::default();
    let resources = resources().with_extension(TokenEvents(Arc::new(told.clone())));
    let connect = connect(server, basic("web-basic", "s3cret-basic"), &resources);
    (connected(&connect, Manners::default()).await.unwrap(), resources, told)
}

pub fn api(server: &Server, auth: &OAuth2, resources: &Resources) -> Client {
    Client::with_resources(&server.issuer, resources).unwrap().auth(Arc::new(auth.clone())).build()
}

/// Reads what a scope opens; gives whose account it is.
pub async fn read(client: &Client, scope: &str) -> Result<String> {
    let answer = client.send(&Context::new(), &Call::get("read").path(["api", scope])).await?;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    Ok(answer["account"].as_str().unwrap().to_owned())
}

/// The tokens that the host has.
pub async fn stored(resources: &Resources) -> Option<TokenSet> {
    let store = resources.tokens.as_ref().unwrap();
    store.load(&resources.connection_key("example")).await.unwrap().map(|(tokens, _)| tokens)
}

/// Stores tokens that came from elsewhere.
pub async fn keep(resources: &Resources, tokens: &TokenSet) {
    let store = resources.tokens.as_ref().unwrap();
    store.save(&resources.connection_key("example"), Generation(0), tokens).await.unwrap();
}

pub fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}
