//! Renewal, rotation, reuse.

use std::time::Duration;

use acople::http::{Call, Client};
use acople::{Context, ErrorKind};
use tokio::task::JoinSet;

use crate::connection::{REDIRECT, api, app, basic, connection, keep, kind, read, stored};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn auth_01_five_hundred_callers_whose_token_ended_cause_one_token_call() {
    let server = Server::start(&[REDIRECT]);
    let (auth, resources, told) = connection(&server).await;
    // 500 pages at once: nothing of the client's own holds them back.
    let client: Client = api(&server, &auth, &resources);
    server.expire().await;
    server.delay(300).await;
    let mut callers = JoinSet::new();
    for number in 0..500 {
        let client = client.clone();
        callers.spawn(async move {
            let call = Call::get("read a page").path(["api", "contacts"]).query("page", number.to_string());
            client.send(&Context::new(), &call).await.map(|answer| answer.status().as_u16())
        });
    }
    while let Some(done) = callers.join_next().await {
        assert_eq!(done.unwrap().unwrap(), 200);
    }
    assert_eq!(server.token_calls("refresh_token").await, [200]);
    assert!(server.refused().await >= 1);
    assert_eq!(told.all(), ["renewed, rotated: true"]);
}

#[tokio::test]
async fn auth_06_a_lost_answer_with_a_rotated_token_is_reauth_that_says_why() {
    let server = Server::start(&[REDIRECT]);
    let (auth, resources, told) = connection(&server).await;
    let client = api(&server, &auth, &resources);
    server.expire().await;
    server.lose_next_answer().await;
    let error = read(&client, "contacts").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert!(error.message().contains("lost"), "{error}");
    // The lost one, and its repetition: the server takes that for theft, and ends the grant.
    let calls = server.token_calls("refresh_token").await;
    assert_eq!(calls[0], 200);
    assert!(calls.len() <= 3 && calls[1..].iter().all(|status| *status == 400), "{calls:?}");
    assert_eq!(told.all(), ["parked: Reauth"]);
    for _ in 0..3 {
        assert_eq!(kind(read(&client, "contacts").await), Some(ErrorKind::Reauth));
    }
    assert_eq!(server.token_calls("refresh_token").await.len(), calls.len(), "nothing more is asked");
}

#[tokio::test]
async fn auth_05_a_refresh_token_that_was_used_by_another_parks_the_connection_once() {
    let server = Server::start(&[REDIRECT]);
    let (auth, resources, told) = connection(&server).await;
    let tokens = stored(&resources).await.unwrap();
    // A thief redeems the stolen refresh token first.
    let elsewhere = crate::connection::resources();
    keep(&elsewhere, &tokens).await;
    let thief = app(&server, basic("web-basic", "s3cret-basic"), &elsewhere).provider().unwrap();
    let stolen = api(&server, &thief, &elsewhere);
    server.expire().await;
    assert_eq!(read(&stolen, "contacts").await.unwrap(), "jo");
    // Our own renewal shows the server that the token is in two hands: it ends the grant for both.
    let client = api(&server, &auth, &resources);
    server.expire().await;
    let error = read(&client, "contacts").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    assert_eq!(told.all(), ["parked: Reauth"]);
    assert_eq!(kind(read(&stolen, "contacts").await), Some(ErrorKind::Reauth));
    let calls = server.token_calls("refresh_token").await.len();
    for _ in 0..3 {
        assert_eq!(kind(read(&client, "contacts").await), Some(ErrorKind::Reauth));
    }
    assert_eq!(server.token_calls("refresh_token").await.len(), calls);
    assert_eq!(told.all(), ["parked: Reauth"], "told once");
}

#[tokio::test]
async fn fifty_renewals_in_a_row_keep_the_pair_together() {
    let server = Server::start(&[REDIRECT]);
    let (auth, resources, told) = connection(&server).await;
    let client = api(&server, &auth, &resources);
    for _ in 0..50 {
        server.expire().await;
        let read = tokio::time::timeout(Duration::from_secs(10), read(&client, "contacts")).await.unwrap();
        assert_eq!(read.unwrap(), "jo");
    }
    assert_eq!(server.token_calls("refresh_token").await, [200; 50]);
    assert_eq!(told.all(), vec!["renewed, rotated: true"; 50]);
}
