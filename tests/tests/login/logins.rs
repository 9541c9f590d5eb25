//! People.

use acople::identity::{JwtAlgorithm, OidcConfig, OidcLogin};
use acople::{ErrorKind, Secret};

use crate::browser::{REDIRECT, visit};
use crate::provider::{Provider, resources};

const SESSION: &str = "session-17";

fn config(provider: &Provider, client: &str) -> OidcConfig {
    let secret = Secret::from(format!("secret of {client}: 32 bytes and more"));
    let algorithm = match client {
        "ps256" => JwtAlgorithm::Ps256,
        "es256" => JwtAlgorithm::Es256,
        _ => JwtAlgorithm::Rs256,
    };
    OidcConfig::new(provider.issuer.as_str(), client, secret, REDIRECT).algorithms([algorithm])
}

#[tokio::test]
async fn people_log_in_whatever_signs_their_tokens() {
    let (provider, resources) = (Provider::start(), resources());
    for client in ["rs256", "ps256", "es256", "public"] {
        let mut config = config(&provider, client);
        if client == "public" {
            config = config.public();
        }
        let login = OidcLogin::new(config.clone(), &resources).unwrap();
        let (url, pending) = login.begin(SESSION).await.unwrap();
        let callback = visit(url, &resources).await;
        let user = login.complete(SESSION, pending, &callback).await.unwrap();
        assert_eq!((&user.issuer, user.subject.as_str()), (&provider.issuer, "u-17"), "{client}");
        assert!(user.expires_at.is_some() && user.name.is_none(), "{client}");

        // What is not in the id token is at the userinfo endpoint.
        let login = OidcLogin::new(config.userinfo(), &resources).unwrap();
        let (url, pending) = login.begin(SESSION).await.unwrap();
        let callback = visit(url, &resources).await;
        let user = login.complete(SESSION, pending, &callback).await.unwrap();
        assert_eq!(user.name.as_deref(), Some("Ánn 🔑"), "{client}");
        assert_eq!(user.email.as_deref(), Some("ann@example.com"), "{client}");
        assert!(user.groups.contains("ops"), "{client}");
    }
}

#[tokio::test]
async fn auth_14_a_code_is_good_once_and_for_its_own_login() {
    let (provider, resources) = (Provider::start(), resources());
    let login = OidcLogin::new(config(&provider, "rs256"), &resources).unwrap();
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let again = serde_json::from_str(&serde_json::to_string(&pending).unwrap()).unwrap();
    let callback = visit(url, &resources).await;
    login.complete(SESSION, pending, &callback).await.unwrap();
    // Another process of the host, which has not seen the callback: the provider refuses the code.
    let elsewhere = OidcLogin::new(config(&provider, "rs256"), &resources).unwrap();
    let error = elsewhere.complete(SESSION, again, &callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")), "{error}");

    // A stolen code, put into the thief's own login: its PKCE verifier is another.
    let (url, victim) = login.begin("victim").await.unwrap();
    let stolen = visit(url, &resources).await;
    let (_, thief) = login.begin("thief").await.unwrap();
    let injected = stolen.replace(victim.state(), thief.state());
    let error = login.complete("thief", thief, &injected).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")), "{error}");

    // The provider says from whom the callback is, so one without it is not the provider's.
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let callback = visit(url, &resources).await;
    assert!(callback.contains("&iss="), "{callback}");
    let nameless = callback.split("&iss=").next().unwrap();
    let error = login.complete(SESSION, pending, nameless).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn a_user_who_says_no_and_a_wrong_secret_are_told_apart() {
    let (provider, resources) = (Provider::start(), resources());
    let config = config(&provider, "rs256");
    let login = OidcLogin::new(config.clone().param("login_hint", "nobody"), &resources).unwrap();
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let callback = visit(url, &resources).await;
    let error = login.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("access_denied")));
    assert!(error.message().contains("the user said no"), "{error}");

    let mut wrong = config.clone();
    wrong.client_secret = Some(Secret::from("CANARY-of-another-client"));
    let login = OidcLogin::new(wrong, &resources).unwrap();
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let callback = visit(url, &resources).await;
    let error = login.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"), "{error}");
    assert!(!format!("{error:?}").contains("CANARY"));

    // The same provider by another name.
    let mut other = config;
    other.issuer.push('/');
    let error = OidcLogin::new(other, &resources).unwrap().begin(SESSION).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["issuer".to_owned()][..]), "{error}");
}
