//! Connecting and disconnecting an account.

use acople::{ErrorKind, Secret};

use crate::connection::{REDIRECT, SESSION, keep, stored};
use crate::connection::{api, basic, connect, connected, connection, kind, public, read, resources};
use crate::server::Server;
use crate::user::Manners;
use acople::auth::{ClientAssertion, ClientStyle, JwtAlgorithm, OAuthClient};

#[tokio::test]
async fn an_account_is_connected_by_every_kind_of_client() {
    let server = Server::start(&[REDIRECT]);
    let keyed = |algorithm, name: &str| OAuthClient {
        id: format!("key-{name}"),
        secret: Some(Secret::from(server.key(name))),
        style: ClientStyle::PrivateKeyJwt(ClientAssertion { algorithm, ..ClientAssertion::default() }),
    };
    let clients = [
        basic("web-basic", "s3cret-basic"),
        OAuthClient { style: ClientStyle::Body, ..basic("web-post", "s3cret-post") },
        public("web-public"),
        keyed(JwtAlgorithm::Rs256, "RS256"),
        keyed(JwtAlgorithm::Ps256, "PS256"),
        keyed(JwtAlgorithm::Es256, "ES256"),
    ];
    for client in clients {
        let (id, resources) = (client.id.clone(), resources());
        let connect = connect(&server, client, &resources);
        let auth = connected(&connect, Manners::default()).await.unwrap_or_else(|e| panic!("{id}: {e:?}"));
        assert_eq!(auth.kept("sub").await.unwrap().as_deref(), Some("jo"), "{id}");
        let client = api(&server, &auth, &resources);
        assert_eq!(read(&client, "contacts").await.unwrap(), "jo");
        // Renewed, with a new refresh token each time, also after a restart.
        for _ in 0..2 {
            server.expire().await;
            assert_eq!(read(&client, "contacts").await.unwrap(), "jo", "{id}");
        }
        server.expire().await;
        let again = api(&server, &connect.app().provider().unwrap(), &resources);
        assert_eq!(read(&again, "orders").await.unwrap(), "jo", "{id}");
        // The server takes every one of them back.
        connect.app().provider().unwrap().revoke().await.unwrap_or_else(|e| panic!("{id}: {e:?}"));
        assert!(stored(&resources).await.is_none());
    }
    let calls = server.token_calls("refresh_token").await;
    assert_eq!(calls, [200; 18], "three renewals of six clients, each answered at once");
}

#[tokio::test]
async fn a_disconnected_account_is_gone_at_the_server_too() {
    let server = Server::start(&[REDIRECT]);
    let (auth, resources, _) = connection(&server).await;
    let tokens = stored(&resources).await.unwrap();
    auth.revoke().await.unwrap();
    assert_eq!(kind(read(&api(&server, &auth, &resources), "contacts").await), Some(ErrorKind::Reauth));
    // Somebody who has kept the refresh token can do nothing with it.
    let thief = self::resources();
    keep(&thief, &tokens).await;
    let connect = connect(&server, basic("web-basic", "s3cret-basic"), &thief);
    let auth = connect.app().provider().unwrap();
    server.expire().await;
    assert_eq!(kind(read(&api(&server, &auth, &thief), "contacts").await), Some(ErrorKind::Reauth));
}

#[tokio::test]
async fn auth_16_a_scope_that_the_user_left_out_is_permission_for_that_stream_alone() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let connect = connect(&server, basic("web-basic", "s3cret-basic"), &resources);
    let manners = Manners { without: &["orders"], ..Manners::default() };
    let auth = connected(&connect, manners).await.unwrap();
    assert_eq!(auth.kept("scope").await.unwrap().as_deref(), Some("openid contacts"));
    let client = api(&server, &auth, &resources);
    let error = read(&client, "orders").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.message().contains("orders"), "{error}");
    assert_eq!(read(&client, "contacts").await.unwrap(), "jo");
    assert_eq!(server.token_calls("refresh_token").await, Vec::<u64>::new(), "no renewal mends a scope");
}

#[tokio::test]
async fn a_user_who_declines_is_told_apart_from_one_who_mistypes() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let connect = connect(&server, basic("web-basic", "s3cret-basic"), &resources);
    let (url, pending) = connect.begin(SESSION).unwrap();
    let manners = Manners { declines: true, ..Manners::default() };
    let callback = crate::user::User::new(manners).visit(&url, REDIRECT).await;
    let error = connect.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("access_denied")));
    assert!(stored(&resources).await.is_none());
    assert_eq!(server.token_calls("authorization_code").await, Vec::<u64>::new());
}
