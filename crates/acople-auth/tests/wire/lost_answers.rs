use std::sync::Arc;
use std::time::Duration;

use acople_core::{AuthProvider, Context, ErrorKind};
use acople_testkit::memory::MemoryStore;

use crate::vendor::{Ledger, auth, honest, resetting, resources, serve, token};

#[tokio::test]
async fn auth_06_a_reset_after_the_request_is_asked_for_once_more_with_the_same_refresh_token() {
    // Within the vendor's grace the repeated refresh brings a pair.
    let ledger = Ledger::new("rt-0", Duration::from_secs(60));
    let server = serve([resetting(&ledger), honest(&ledger)]).await;
    let auth = auth(&server.url(), "rt-0", &resources().with_tokens(Arc::new(MemoryStore::new())));
    assert_eq!(token(&auth).await.unwrap().0, "at-2");
    let sent = server.requests();
    assert_eq!(sent.len(), 2);
    assert!(
        sent.iter().all(|request| String::from_utf8_lossy(request.body()).contains("refresh_token=rt-0&"))
    );
}

#[tokio::test]
async fn auth_06_after_a_reset_a_refusal_is_reauth_that_says_why_and_the_old_access_token_stays_in_use() {
    let ledger = Ledger::new("rt-0", Duration::ZERO);
    let server = serve([honest(&ledger), resetting(&ledger), honest(&ledger)]).await;
    let auth = auth(&server.url(), "rt-0", &resources().with_tokens(Arc::new(MemoryStore::new())));
    let (access, stamp) = token(&auth).await.unwrap();
    assert_eq!(access, "at-1");
    let error = auth.refresh(&Context::new(), stamp).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    assert!(error.message().contains("the answer to an earlier refresh was lost"), "{error}");
    // The reset one, the same again, and the refresh token before it: all refused, and then nothing more.
    let calls = server.requests().len();
    assert_eq!(calls, 4);
    for _ in 0..5 {
        assert!(auth.refresh(&Context::new(), stamp).await.is_err());
    }
    assert_eq!(server.requests().len(), calls);
}

#[tokio::test]
async fn auth_06_two_resets_are_reauth_and_the_access_token_in_hand_stays_in_use() {
    let ledger = Ledger::new("rt-0", Duration::from_secs(60));
    let server = serve([honest(&ledger), resetting(&ledger)]).await;
    let auth = auth(&server.url(), "rt-0", &resources().with_tokens(Arc::new(MemoryStore::new())));
    let (access, stamp) = token(&auth).await.unwrap();
    let error = auth.refresh(&Context::new(), stamp).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert!(error.message().contains("lost"), "{error}");
    assert_eq!(server.requests().len(), 3);
    assert_eq!(token(&auth).await.unwrap().0, access, "nobody has said that it is over");
}
