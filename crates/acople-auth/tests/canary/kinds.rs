//! Every provider that there is, each with a canary for each of its secrets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use acople_auth::config::{AnyAuth, AuthServer};
use acople_auth::{
    ClientAssertion, ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuth2Builder, OAuthClient, Rotation,
};
use acople_core::{AuthProvider, Generation, Lesson, Resources, TokenSet, TokenStore};
use acople_http::{Answer, Call, Classifier};
use acople_testkit::memory::MemoryStore;
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::echo::{BASE, Quoting, TOKEN_URL};
use crate::private_keys::{TestKey, p256};
use crate::search::{CANARY, Canaries, OTHER};

/// Where tokens are given back.
const REVOKE_URL: &str = "https://login.example.com/oauth/revoke";

/// Keys, which have no fixed text.
pub(crate) struct Keys {
    rsa: String,
    es256: String,
}

/// A provider in use.
pub(crate) struct Made {
    pub(crate) auth: Arc<dyn AuthProvider>,
    pub(crate) classifier: Reader,
    /// The provider as what it is, where tokens may be revoked.
    pub(crate) oauth2: Option<OAuth2>,
    /// The `Debug` of everything that it was made of.
    pub(crate) shown: String,
    /// A write that it can sign: some put their secrets into the body.
    pub(crate) call: Call,
}

/// The reader of answers that goes with a provider.
#[derive(Clone, Debug)]
pub(crate) struct Reader(Arc<dyn Classifier>);

impl Classifier for Reader {
    fn classify(&self, answer: &Answer) -> acople_core::Result<()> {
        self.0.classify(answer)
    }

    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        self.0.lessons(answer, lessons);
    }
}

type Make = Box<dyn Fn(&Resources) -> Made>;

impl Keys {
    pub(crate) fn new() -> Self {
        Self { rsa: TestKey::new().pkcs8_pem(), es256: p256().0 }
    }

    /// The fixed secrets and parts of the keys.
    pub(crate) fn canaries(&self) -> Canaries {
        // A line from the middle of each: the first one says what kind of key it is.
        Canaries::with([self.rsa.lines().nth(10).unwrap(), self.es256.lines().nth(2).unwrap()])
    }

    /// All providers by name.
    pub(crate) fn providers(&self) -> Vec<(String, Make)> {
        let configs = self.configs().into_iter().enumerate().map(|(number, config)| {
            let name = config.as_object().unwrap().keys().next().unwrap().clone();
            let make: Make = Box::new(move |resources: &Resources| from_config(&config, resources));
            (format!("{name} ({number})"), make)
        });
        let grants = self.grants().into_iter().map(|(name, client, grant)| {
            let make: Make = Box::new(move |resources: &Resources| from_grant(&client, &grant, resources));
            (name.to_owned(), make)
        });
        configs.chain(grants).collect()
    }

    /// All kinds of credentials that a config knows.
    fn configs(&self) -> Vec<Value> {
        let (rsa, es256) = (&self.rsa, &self.es256);
        let oauth1 =
            json!({"consumer_key": "ck", "consumer_secret": CANARY, "token": "tk", "token_secret": OTHER});
        let aws = json!({"access_key_id": "AKID", "secret_access_key": CANARY, "session_token": OTHER});
        let file = json!({"type": "service_account", "client_email": "r@p.example", "private_key": rsa,
            "private_key_id": "k", "token_uri": "https://oauth2.googleapis.com/token"});
        let put = json!([
            {"header": {"name": "x-key", "value": "{secret}:{signature}"}},
            {"query": {"name": "sign", "value": "{signature}"}},
            {"json": {"pointer": "/sign", "value": "{secret}"}},
        ]);
        let bearer = json!({"bearer": {"token": CANARY}});
        vec![
            bearer.clone(),
            json!({"scheme": {"scheme": "Token", "token": CANARY}}),
            json!({"headers": {"x-key": CANARY, "x-other": OTHER}}),
            json!({"basic": {"user": "u", "password": CANARY}}),
            json!({"key_as_user": {"key": CANARY}}),
            json!({"email_token": {"email": "a@b.example", "token": CANARY}}),
            json!({"query": {"name": "key", "value": CANARY}}),
            json!({"json_body": {"pointer": "/key", "value": CANARY}}),
            json!({"form_body": {"name": "key", "value": CANARY}}),
            json!({"refresh_token": {"client_id": "a", "client_secret": OTHER, "refresh_token": CANARY}}),
            json!({"client_credentials": {"client_id": "a", "client_secret": CANARY}}),
            json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": rsa, "algorithm": "PS256"}}),
            json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": es256, "algorithm": "ES256"}}),
            json!({"service_account": {"key_file": file.to_string(), "scopes": ["s"]}}),
            json!({"aws": {"keys": aws, "region": "eu-west-1", "service": "s3"}}),
            json!({"oauth1": {"keys": oauth1}}),
            json!({"oauth1": {"keys": oauth1, "in_query": true}}),
            json!({"signing": {"id": "i", "secret": CANARY, "signing":
                {"algorithm": "hmac_sha256", "rules": [{"text": "{secret}{body}", "put": put}]}}}),
            json!({"apns": {"team_id": "DEF123GHIJ", "key_id": "ABC123DEFG", "private_key": es256}}),
            json!({"session": {"login_url": format!("{BASE}/login"), "fields": {"user": "u", "password": CANARY},
                "take": {"json": "/session"}, "header": "x-key", "prefix": "S "}}),
            json!({"app_secret_proof": {"app_secret": OTHER, "auth": bearer}}),
            json!({"csrf": {"url": format!("{BASE}/odata/"), "auth": {"basic": {"user": "u", "password": CANARY}}}}),
            json!({"all": [bearer, {"headers": {"x-key": OTHER}}]}),
        ]
    }

    /// The grants and the ways of a client to say who it is that no config has.
    fn grants(&self) -> Vec<(&'static str, OAuthClient, Grant)> {
        let client = |style| OAuthClient { id: "app".into(), secret: Some(CANARY.into()), style };
        let assertion = ClientAssertion { algorithm: JwtAlgorithm::Es256, ..ClientAssertion::default() };
        let signing = OAuthClient {
            id: "app".into(),
            secret: Some(self.es256.as_str().into()),
            style: ClientStyle::PrivateKeyJwt(assertion),
        };
        let exchange = Grant::TokenExchange {
            subject_token: OTHER.into(),
            subject_token_type: "urn:ietf:params:oauth:token-type:jwt".into(),
            actor: Some((CANARY.into(), "urn:ietf:params:oauth:token-type:access_token".into())),
            audience: Some("orders".into()),
            scope: Some("read".into()),
        };
        let password =
            Grant::DeprecatedPassword { username: "u".into(), password: OTHER.into(), scope: None };
        let credentials = Grant::ClientCredentials { scope: None };
        let refresh = Grant::RefreshToken { refresh_token: OTHER.into() };
        vec![
            ("token exchange", client(ClientStyle::Body), exchange.clone()),
            ("token exchange, basic", client(ClientStyle::Basic), exchange),
            ("password", client(ClientStyle::Body), password.clone()),
            ("password, basic", client(ClientStyle::Basic), password),
            ("connected", client(ClientStyle::Body), Grant::Connected),
            ("connected, basic", client(ClientStyle::Basic), Grant::Connected),
            ("refresh token, basic", client(ClientStyle::Basic), refresh),
            ("private key of a client", signing, credentials),
        ]
    }
}

fn from_config(config: &Value, resources: &Resources) -> Made {
    let config: AnyAuth = serde_json::from_value(config.clone()).unwrap();
    let style = ClientStyle::Body;
    let server = AuthServer { connector: "example", token_url: TOKEN_URL, style, resources };
    let is_form = matches!(config, AnyAuth::FormBody { .. });
    let call = if is_form { Call::post("write").path(["records"]).form([("a", "b")]) } else { write() };
    let chosen = config.choose("auth", &server).unwrap();
    let shown = format!("{config:?} {config:#?} {server:?} {chosen:?} {chosen:#?}");
    Made {
        auth: chosen.provider(),
        classifier: Reader(Arc::new(chosen.classifier(Quoting))),
        oauth2: None,
        shown,
        call,
    }
}

fn from_grant(client: &OAuthClient, grant: &Grant, resources: &Resources) -> Made {
    if let (Grant::Connected, Some(store)) = (grant, &resources.tokens) {
        let key = resources.connection_key("example");
        // A store that fails has none.
        let _ = store.save(&key, Generation(0), &worn_out()).now_or_never().unwrap();
    }
    let builder: OAuth2Builder =
        OAuth2::builder("example", TOKEN_URL, client.clone(), grant.clone(), resources)
            .unwrap()
            .param("pin", CANARY)
            .rotation(Rotation::Always)
            .revocation_url(REVOKE_URL)
            .unwrap();
    let mut shown = format!("{client:?} {client:#?} {grant:?} {grant:#?} {builder:?} {builder:#?}");
    let auth = builder.build();
    write!(shown, "{auth:?} {auth:#?}").unwrap();
    Made {
        auth: Arc::new(auth.clone()),
        classifier: Reader(Arc::new(Quoting)),
        oauth2: Some(auth),
        shown,
        call: write(),
    }
}

fn write() -> Call {
    Call::post("write").path(["records"]).json(&json!({"a": "b"})).unwrap()
}

/// Tokens of an earlier connecting, which have to be renewed.
fn worn_out() -> TokenSet {
    TokenSet {
        access: CANARY.into(),
        refresh: Some(OTHER.into()),
        expires_at: Some(UNIX_EPOCH),
        endpoint: None,
        extra: BTreeMap::new(),
    }
}

/// A store, empty.
pub(crate) fn store() -> Arc<dyn TokenStore> {
    Arc::new(MemoryStore::new())
}
