//! The device flow, with a user at another screen.

use acople::ErrorKind;
use acople::auth::DeviceFlow;
use url::Url;

use crate::connection::{REDIRECT, api, app, public, read, resources};
use crate::server::Server;
use crate::user::{Manners, User};

#[tokio::test]
async fn auth_15_an_account_is_connected_by_a_code_that_the_user_types_in_elsewhere() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let flow = DeviceFlow::new(app(&server, public("tv"), &resources), &server.url("/device/auth")).unwrap();
    let code = flow.begin().await.unwrap();
    assert_eq!(code.verification_uri, server.url("/device"));
    let url = Url::parse(code.verification_uri_complete.as_deref().unwrap()).unwrap();
    let user = tokio::spawn(async move {
        // After the first poll, which hears that it is not yet time.
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        User::new(Manners::default()).visit(&url, REDIRECT).await
    });
    let auth = flow.wait(code).await.unwrap();
    user.await.unwrap();
    let client = api(&server, &auth, &resources);
    assert_eq!(read(&client, "contacts").await.unwrap(), "jo");
    server.expire().await;
    assert_eq!(read(&client, "contacts").await.unwrap(), "jo", "renewed");
    let polls = server.token_calls("urn:ietf:params:oauth:grant-type:device_code").await;
    assert_eq!(polls.first(), Some(&400), "pending at first: {polls:?}");
    assert_eq!(polls.last(), Some(&200), "{polls:?}");
}

#[tokio::test]
async fn auth_15_a_user_who_declines_ends_the_waiting() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let flow = DeviceFlow::new(app(&server, public("tv"), &resources), &server.url("/device/auth")).unwrap();
    let code = flow.begin().await.unwrap();
    let url = Url::parse(code.verification_uri_complete.as_deref().unwrap()).unwrap();
    let manners = Manners { declines: true, ..Manners::default() };
    User::new(manners).visit(&url, REDIRECT).await;
    let error = flow.wait(code).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("access_denied")));
}
