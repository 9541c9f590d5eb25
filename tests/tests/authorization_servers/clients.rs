//! Grants without a user: the client's own credentials, assertions, exchange.

use acople::auth::{ClientAssertion, ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuthClient};
use acople::{ErrorKind, Result, Secret};

use crate::connection::{REDIRECT, api, basic, public, read, resources};
use crate::server::Server;

const ALGORITHMS: [(JwtAlgorithm, &str); 3] =
    [(JwtAlgorithm::Rs256, "RS256"), (JwtAlgorithm::Ps256, "PS256"), (JwtAlgorithm::Es256, "ES256")];

async fn account(server: &Server, client: OAuthClient, grant: Grant) -> Result<String> {
    let resources = resources();
    let auth = OAuth2::builder("example", &server.url("/token"), client, grant, &resources)?.build();
    let client = api(server, &auth, &resources);
    // Got, ended at the server, and got again.
    read(&client, "contacts").await?;
    server.expire().await;
    read(&client, "contacts").await
}

fn machine() -> Grant {
    Grant::ClientCredentials { scope: Some("contacts".into()) }
}

fn keyed(server: &Server, algorithm: JwtAlgorithm, name: &str, assertion: ClientAssertion) -> OAuthClient {
    OAuthClient {
        id: format!("key-{name}"),
        secret: Some(Secret::from(server.key(name))),
        style: ClientStyle::PrivateKeyJwt(ClientAssertion { algorithm, ..assertion }),
    }
}

#[tokio::test]
async fn client_credentials_are_taken_by_basic_by_post_and_by_a_private_key() {
    let server = Server::start(&[REDIRECT]);
    // With the characters that are encoded before the two are joined.
    let client = basic("machine-basic", "s3cret: +/%");
    assert_eq!(account(&server, client, machine()).await.unwrap(), "machine-basic");
    let client = OAuthClient { style: ClientStyle::Body, ..basic("machine-post", "s3cret-post") };
    assert_eq!(account(&server, client, machine()).await.unwrap(), "machine-post");
    for (algorithm, name) in ALGORITHMS {
        let issuer = ClientAssertion {
            audience: Some(server.issuer.clone()),
            key_id: Some(format!("key-{name}")),
            ..ClientAssertion::default()
        };
        for assertion in [ClientAssertion::default(), issuer] {
            let client = keyed(&server, algorithm, name, assertion);
            assert_eq!(account(&server, client, machine()).await.unwrap(), format!("key-{name}"));
        }
    }
}

#[tokio::test]
async fn a_key_or_an_algorithm_that_is_not_the_clients_is_refused_by_name() {
    let server = Server::start(&[REDIRECT]);
    let cases = [
        // Signed in another algorithm than the client is registered with, by the right key.
        keyed(&server, JwtAlgorithm::Ps256, "RS256", ClientAssertion::default()),
        // Signed by the key of another client.
        OAuthClient {
            id: "key-RS256".into(),
            ..keyed(&server, JwtAlgorithm::Rs256, "PS256", ClientAssertion::default())
        },
        // For somebody else.
        keyed(
            &server,
            JwtAlgorithm::Rs256,
            "RS256",
            ClientAssertion {
                audience: Some("https://other.example.com".into()),
                ..ClientAssertion::default()
            },
        ),
        basic("machine-basic", "s3cret-wrong"),
        basic("machine-nobody", "s3cret-wrong"),
    ];
    for client in cases {
        let id = client.id.clone();
        let error = account(&server, client, machine()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Config, Some("invalid_client")),
            "{id}: {error}"
        );
        assert_eq!(error.fields(), ["client_id"], "{id}");
        assert!(error.message().contains("check its id and secret"), "{id}: {error}");
    }
}

#[tokio::test]
async fn a_scope_or_a_grant_that_the_client_may_not_have_says_so() {
    let server = Server::start(&[REDIRECT]);
    let grant = Grant::ClientCredentials { scope: Some("everything".into()) };
    let error = account(&server, basic("machine-basic", "s3cret: +/%"), grant).await.unwrap_err();
    // The server leaves out a scope that it does not know, and the API misses it.
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    let error = account(&server, basic("web-basic", "s3cret-basic"), machine()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn assertions_in_every_algorithm_are_taken_for_the_user() {
    let server = Server::start(&[REDIRECT]);
    let grant = |algorithm, key: &str, audience: &str| Grant::JwtBearer {
        issuer: "signer".into(),
        subject: "jo".into(),
        audience: audience.into(),
        algorithm,
        private_key_pem: key.into(),
    };
    for (algorithm, name) in ALGORITHMS {
        let resources = resources();
        let grant = grant(algorithm, server.key(name), &server.issuer);
        let auth = OAuth2::builder("example", &server.url("/token"), public("signer"), grant, &resources);
        let auth = auth.unwrap().keep(&["scope"]).key_id(format!("key-{name}")).build();
        assert_eq!(read(&api(&server, &auth, &resources), "contacts").await.unwrap(), "signer", "{name}");
        assert_eq!(auth.kept("scope").await.unwrap().as_deref(), Some("contacts for jo"));
    }
    let wrong = grant(JwtAlgorithm::Rs256, server.key("RS256"), "https://other.example.com");
    let error = account(&server, public("signer"), wrong).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")), "{error}");
}

#[tokio::test]
async fn a_token_is_exchanged_for_another() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let machine = OAuth2::builder(
        "example",
        &server.url("/token"),
        basic("machine-basic", "s3cret: +/%"),
        machine(),
        &resources,
    );
    let machine = machine.unwrap().build();
    let header = authorization(&machine).await;
    let exchange = |subject: &str| Grant::TokenExchange {
        subject_token: subject.into(),
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token".into(),
        actor: None,
        audience: None,
        scope: Some("contacts".into()),
    };
    let exchanged = |grant| {
        let other = self::resources();
        let client = basic("machine-basic", "s3cret: +/%");
        let auth = OAuth2::builder("other", &server.url("/token"), client, grant, &other).unwrap().build();
        let client = api(&server, &auth, &other);
        async move { read(&client, "contacts").await }
    };
    let subject = header.strip_prefix("Bearer ").unwrap();
    assert_eq!(exchanged(exchange(subject)).await.unwrap(), "machine-basic");
    let error = exchanged(exchange("unknown-token")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.to_string().contains("unknown-token"), "{error}");
}

async fn authorization(auth: &OAuth2) -> String {
    use acople::{AuthProvider, Context, Request};
    let url = "https://api.example.com".parse().unwrap();
    let mut request = Request::new(http::Method::GET, url);
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    request.headers()["authorization"].to_str().unwrap().to_owned()
}
