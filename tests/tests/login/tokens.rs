//! Programs.

use acople::auth::{ClientStyle, Grant, OAuth2, OAuthClient};
use acople::identity::{Jwks, JwksConfig, JwtAlgorithm, JwtConfig, JwtVerifier};
use acople::{AuthProvider, Context, Request, Resources, Secret};
use http::Method;

use crate::provider::{Provider, resources};

const API: &str = "https://orders.example.com/api";

/// An access token that the provider gives to a program.
async fn access_token(provider: &Provider, resources: &Resources) -> Secret {
    let client = OAuthClient {
        id: "program".into(),
        secret: Some("secret of program: 32 bytes and more".into()),
        style: ClientStyle::Basic,
    };
    let grant = Grant::ClientCredentials { scope: Some("orders:read".into()) };
    let url = format!("{}/token", provider.issuer);
    let auth =
        OAuth2::builder("test", &url, client, grant, resources).unwrap().param("resource", API).build();
    let mut request = Request::new(Method::GET, API.parse().unwrap());
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    Secret::from(request.headers()["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap())
}

fn verifier(provider: &Provider, resources: &Resources, change: impl FnOnce(&mut JwtConfig)) -> JwtVerifier {
    let keys = Jwks::new(JwksConfig::new(format!("{}/jwks", provider.issuer)), resources).unwrap();
    let mut config = JwtConfig::new(provider.issuer.as_str(), API, [JwtAlgorithm::Es256]).typ("at+jwt");
    change(&mut config);
    JwtVerifier::new(config, keys).unwrap()
}

#[tokio::test]
async fn auth_13_a_programs_token_is_taken_by_the_published_keys_and_only_for_its_service() {
    let (provider, resources) = (Provider::start(), resources());
    let token = access_token(&provider, &resources).await;
    let caller = verifier(&provider, &resources, |_| {}).identity(&token).await.unwrap();
    assert_eq!(caller.subject, "program");
    caller.require_scope("orders:read").unwrap();

    let refusal = async |change: fn(&mut JwtConfig)| {
        let error = verifier(&provider, &resources, change).identity(&token).await.unwrap_err();
        error.code().unwrap_or_default().to_owned()
    };
    assert_eq!(
        refusal(|c| c.audiences = vec!["https://billing.example.com".into()]).await,
        "audience_refused"
    );
    assert_eq!(refusal(|c| c.issuer.push('/')).await, "issuer_refused");
    assert_eq!(refusal(|c| c.algorithms = vec![JwtAlgorithm::Rs256]).await, "algorithm_refused");
    assert_eq!(refusal(|c| c.typ = Some("JWT".into())).await, "type_refused");
    // Another start of the provider has other keys of the same names.
    let other = Provider::start();
    let keys = Jwks::new(JwksConfig::new(format!("{}/jwks", other.issuer)), &resources).unwrap();
    let config = JwtConfig::new(provider.issuer.as_str(), API, [JwtAlgorithm::Es256]);
    let error = JwtVerifier::new(config, keys).unwrap().identity(&token).await.unwrap_err();
    assert_eq!(error.code(), Some("signature_invalid"));
}
