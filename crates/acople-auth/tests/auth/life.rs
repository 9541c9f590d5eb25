//! The life of tokens: what hosts are told, how accounts are disconnected, what replaces what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_auth::{Grant, OAuth2, Rotation, TokenEvent, TokenEvents, TokenObserver};
use acople_core::{
    Clock, ConnectionKey, ErrorKind, Generation, Progress, Resources, TokenSet, TokenStore, WireFault,
};
use acople_http::Client;
use acople_testkit::memory::MemoryStore;
use acople_testkit::{Reply, Sent};
use tokio::time::sleep;

use crate::vendor::{BASE, TOKEN_URL, Vendor, app, authorization, client, read, refreshing};

const REVOKE_URL: &str = "https://login.example.com/oauth/revoke";

/// Writes down what it is told.
#[derive(Debug, Default)]
struct Diary(Mutex<Vec<String>>);

impl TokenObserver for Diary {
    fn event(&self, connection: &ConnectionKey, event: &TokenEvent<'_>) {
        let line = match event {
            TokenEvent::Renewed { rotated, .. } => format!("renewed, rotated: {rotated}"),
            TokenEvent::Parked { error } => format!("parked: {}", error.code().unwrap_or("lost")),
            TokenEvent::SaveFailed { failures, .. } => format!("save failed {failures}"),
            TokenEvent::RefreshEnds { left, .. } => format!("ends in {} days", left.as_secs() / 86_400),
            other => format!("{other:?}").to_lowercase(),
        };
        assert_eq!((connection.connector.as_str(), connection.connection.as_str()), ("example", "default"));
        self.0.lock().unwrap().push(line);
    }
}

impl Diary {
    fn read(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn watched(vendor: &Vendor) -> (Arc<Diary>, Arc<MemoryStore>, Resources) {
    let (diary, store) = (Arc::new(Diary::default()), Arc::new(MemoryStore::new()));
    let resources = vendor.resources().with_tokens(store.clone()).with_extension(TokenEvents(diary.clone()));
    (diary, store, resources)
}

fn connected(access: &str, refresh: &str) -> TokenSet {
    TokenSet {
        access: access.into(),
        refresh: Some(refresh.into()),
        expires_at: None,
        endpoint: None,
        extra: BTreeMap::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn auth_05_a_dead_grant_is_one_event_and_no_token_call_for_an_hour_until_it_is_replaced() {
    let vendor = Vendor::new();
    let (diary, store, resources) = watched(&vendor);
    let auth = refreshing(&resources, "rt-0").build();
    let client = client(&vendor, &auth);
    read(&client, 0).await.unwrap();
    assert_eq!(diary.read(), ["renewed, rotated: true"]);
    sleep(Duration::from_secs(1800)).await;
    vendor.change(|rules| (rules.access, rules.refresh) = ("revoked".into(), "revoked".into()));
    for _ in 0..60 {
        assert_eq!(read(&client, 1).await.unwrap_err().kind(), ErrorKind::Reauth);
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(vendor.token_calls().len(), 2);
    assert_eq!(diary.read(), ["parked: invalid_grant"]);
    // The host stores what a new connecting brought.
    let key = resources.connection_key("example");
    let (_, generation) = TokenStore::load(&*store, &key).await.unwrap().unwrap();
    vendor.change(|rules| rules.access = "at-new".into());
    TokenStore::save(&*store, &key, generation, &connected("at-new", "rt-new")).await.unwrap();
    read(&client, 2).await.unwrap();
    assert_eq!(diary.read(), ["resumed"]);
    assert_eq!(vendor.token_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn auth_05_the_store_is_read_again_before_a_connection_is_parked() {
    // Another worker, which knows nothing of leases, has stored the successors of the token that is refused.
    let vendor = Vendor::new().with(|rules| rules.refresh = "rt-theirs".into());
    let (diary, store, resources) = watched(&vendor);
    let auth = refreshing(&resources, "rt-0").build();
    let key = resources.connection_key("example");
    let (first, ()) = tokio::join!(authorization(&auth), async {
        sleep(Duration::from_millis(700)).await; // after the refusal, before the second look
        TokenStore::save(&*store, &key, Generation(0), &connected("at-theirs", "rt-theirs")).await.unwrap();
    });
    assert_eq!(first.unwrap(), "Bearer at-theirs");
    assert_eq!(diary.read(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn auth_08_a_store_that_refuses_is_an_alarm_at_once_and_its_end_is_told() {
    let vendor = Vendor::new();
    let (diary, store, resources) = watched(&vendor);
    let auth = refreshing(&resources, "rt-0").build();
    store.fail_next_saves(2);
    authorization(&auth).await.unwrap();
    assert_eq!(diary.read(), ["save failed 1", "renewed, rotated: true"]);
    sleep(Duration::from_secs(1)).await;
    authorization(&auth).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    authorization(&auth).await.unwrap();
    assert_eq!(diary.read(), ["save failed 2", "saved"]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_ends_is_told_before_its_end() {
    let day = Duration::from_secs(86_400);
    for member in ["refresh_token_expires_in", "x_refresh_token_expires_in"] {
        // A hundred days that do not begin anew, as QuickBooks has it.
        let vendor = Vendor::new().with(|rules| rules.rotates = false);
        let (diary, _, resources) = watched(&vendor);
        vendor.change(|rules| rules.members = format!(r#","expires_in":3600,"{member}":8640000"#));
        let auth = refreshing(&resources, "rt-0").build();
        authorization(&auth).await.unwrap();
        assert_eq!(diary.read(), ["renewed, rotated: false"]);
        vendor.change(|rules| rules.members = r#","expires_in":3600"#.into());
        for (days, expected) in [
            (92, None),
            (2, Some("ends in 6 days")),
            (5, Some("ends in 1 days")),
            (2, Some("ends in 0 days")),
        ] {
            vendor.clock.advance(day * days);
            sleep(Duration::from_secs(3600)).await;
            authorization(&auth).await.unwrap();
            let told: Vec<String> = diary.read();
            assert_eq!(
                told.iter().find(|line| line.starts_with("ends")).map(String::as_str),
                expected,
                "{told:?}"
            );
        }
        // Another worker knows it from the store.
        let other = refreshing(&resources, "rt-0").build();
        other.reload().await.unwrap();
        assert_eq!(diary.read(), ["ends in 0 days"]);
        // A new refresh token without an end puts an end to it.
        vendor.change(|rules| rules.rotates = true);
        sleep(Duration::from_secs(3600)).await;
        authorization(&auth).await.unwrap();
        assert_eq!(diary.read(), ["renewed, rotated: true"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_never_rotates_may_be_redeemed_as_often_as_it_takes() {
    let lost = || Reply::fail(Progress::MaybeSent, WireFault::Reset);
    let vendor = Vendor::new().with(|rules| rules.rotates = false);
    vendor.change(|rules| rules.instead = vec![lost(), lost(), lost()]);
    let auth = refreshing(&vendor.resources(), "rt-0").rotation(Rotation::Never).build();
    let error = authorization(&auth).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(vendor.token_calls().len(), 3);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
}

#[tokio::test(start_paused = true)]
async fn an_always_rotating_vendor_that_gives_no_new_refresh_token_is_used_all_the_same() {
    let vendor = Vendor::new().with(|rules| rules.rotates = false);
    let auth = refreshing(&vendor.resources(), "rt-0").rotation(Rotation::Always).build();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
}

#[tokio::test(start_paused = true)]
async fn the_refresh_token_before_the_newest_is_tried_for_a_while_before_the_connection_is_parked() {
    for (after, calls, good) in [(1799, 3, true), (1801, 2, false)] {
        let vendor = Vendor::new();
        let auth = refreshing(&vendor.resources(), "rt-0").build();
        authorization(&auth).await.unwrap();
        // The vendor has undone the rotation: a write of its own was lost.
        vendor.change(|rules| (rules.access, rules.refresh) = ("none".into(), "rt-0".into()));
        sleep(Duration::from_secs(after)).await;
        let outcome = read(&client(&vendor, &auth), 1).await;
        assert_eq!(outcome.is_ok(), good, "after {after} s");
        assert_eq!(vendor.token_calls().len(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn auth_17_replaced_credentials_are_used_from_then_on_and_requests_on_their_way_end() {
    let vendor = Vendor::new();
    let (diary, store, resources) = watched(&vendor);
    let auth = refreshing(&resources, "rt-0").build();
    let client = client(&vendor, &auth);
    read(&client, 1).await.unwrap();
    let key = resources.connection_key("example");
    let (_, generation) = TokenStore::load(&*store, &key).await.unwrap().unwrap();
    // The host replaces the credentials while requests are on their way with the old ones.
    vendor.change(|rules| rules.resource_delay = Duration::from_secs(2));
    let mut running = tokio::task::JoinSet::new();
    for id in 10..15 {
        let client = client.clone();
        running.spawn(async move { read(&client, id).await });
    }
    sleep(Duration::from_secs(1)).await;
    TokenStore::save(&*store, &key, generation, &connected("at-host", "rt-host")).await.unwrap();
    assert!(auth.reload().await.unwrap());
    assert!(!auth.reload().await.unwrap(), "nothing new the second time");
    assert!(running.join_all().await.iter().all(Result::is_ok), "requests on their way end as they began");
    vendor.change(|rules| (rules.access, rules.refresh) = ("at-host".into(), "rt-host".into()));
    read(&client, 20).await.unwrap();
    let carried = |sent: &Sent| sent.header("authorization").unwrap().to_owned();
    let calls = vendor.resource_calls();
    assert!(calls[..6].iter().all(|sent| carried(sent) == "Bearer at-1"));
    assert_eq!((calls.len(), carried(&calls[6])), (7, "Bearer at-host".to_owned()));
    assert_eq!(vendor.token_calls().len(), 1);
    assert_eq!(diary.read(), ["renewed, rotated: true"]);
}

#[tokio::test(start_paused = true)]
async fn auth_17_a_chain_of_pages_carries_one_token_or_ends_where_the_vendor_binds_cursors_to_tokens() {
    let vendor = Vendor::new();
    let (_, store, resources) = watched(&vendor);
    let auth = refreshing(&resources, "rt-0").build();
    let chain = || {
        let pinned = Arc::new(auth.pinned());
        Client::with_resources(BASE, &vendor.resources()).unwrap().auth(pinned).build()
    };
    let (first, others) = (chain(), client(&vendor, &auth));
    read(&first, 1).await.unwrap();
    // The host replaces the credentials between two pages; the vendor takes the old ones for a while yet.
    let key = resources.connection_key("example");
    let (_, generation) = TokenStore::load(&*store, &key).await.unwrap().unwrap();
    TokenStore::save(&*store, &key, generation, &connected("at-host", "rt-host")).await.unwrap();
    assert!(auth.reload().await.unwrap());
    read(&first, 2).await.unwrap();
    vendor.change(|rules| (rules.access, rules.refresh) = ("at-host".into(), "rt-host".into()));
    read(&others, 3).await.unwrap();
    // Then the vendor takes them no longer: the chain ends, instead of going on with another token.
    for _ in 0..2 {
        assert_eq!(read(&first, 4).await.unwrap_err().kind(), ErrorKind::CursorExpired);
    }
    read(&chain(), 5).await.unwrap();
    let carried: Vec<_> = vendor
        .resource_calls()
        .iter()
        .map(|sent| (sent.request.url().path().to_owned(), sent.header("authorization").unwrap().to_owned()))
        .collect();
    let expected =
        [("1", "at-1"), ("2", "at-1"), ("3", "at-host"), ("4", "at-1"), ("4", "at-1"), ("5", "at-host")];
    let expected = expected.map(|(id, token)| (format!("/records/{id}"), format!("Bearer {token}")));
    assert_eq!(carried, expected);
    assert_eq!(vendor.token_calls().len(), 1, "what is new is there already");
}

#[tokio::test(start_paused = true)]
async fn auth_17_a_revoked_account_is_told_to_the_vendor_and_used_no_more_by_any_worker() {
    let vendor = Vendor::new();
    let (_, store, resources) = watched(&vendor);
    let key = resources.connection_key("example");
    TokenStore::save(&*store, &key, Generation(0), &connected("at-0", "rt-0")).await.unwrap();
    let worker = || {
        OAuth2::builder("example", TOKEN_URL, app(), Grant::Connected, &resources)
            .unwrap()
            .revocation_url(REVOKE_URL)
            .unwrap()
            .build()
    };
    let (ours, theirs) = (worker(), worker());
    read(&client(&vendor, &ours), 1).await.unwrap();
    read(&client(&vendor, &theirs), 1).await.unwrap();
    ours.revoke().await.unwrap();
    let revoked = vendor.revocations();
    assert_eq!(
        revoked[0].body(),
        "token=rt-0&token_type_hint=refresh_token&client_id=app&client_secret=app-s3cret"
    );
    assert!(TokenStore::load(&*store, &key).await.unwrap().is_none());
    assert_eq!(authorization(&ours).await.unwrap_err().kind(), ErrorKind::Reauth);
    // The other worker finds out at its next refusal, and does not bring the tokens back.
    vendor.change(|rules| rules.access = "none".into());
    assert_eq!(read(&client(&vendor, &theirs), 2).await.unwrap_err().kind(), ErrorKind::Reauth);
    assert_eq!(authorization(&theirs).await.unwrap_err().kind(), ErrorKind::Reauth);
    assert_eq!((vendor.token_calls().len(), store.saves()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn auth_17_a_renewal_that_was_on_its_way_does_not_bring_a_removed_account_back() {
    let vendor = Vendor::new();
    let (_, store, resources) = watched(&vendor);
    let key = resources.connection_key("example");
    TokenStore::save(&*store, &key, Generation(0), &connected("worn-out", "rt-0")).await.unwrap();
    let auth = OAuth2::builder("example", TOKEN_URL, app(), Grant::Connected, &resources).unwrap().build();
    let client = client(&vendor, &auth);
    let (outcome, ()) = tokio::join!(read(&client, 1), async {
        sleep(Duration::from_millis(100)).await; // the token call takes 300 ms
        TokenStore::remove(&*store, &key).await.unwrap();
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Reauth);
    assert!(TokenStore::load(&*store, &key).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_does_not_revoke_is_kept() {
    let vendor = Vendor::new();
    let (_, store, resources) = watched(&vendor);
    let key = resources.connection_key("example");
    let worker = || refreshing(&resources, "rt-0").revocation_url(REVOKE_URL).unwrap().build();
    authorization(&worker()).await.unwrap();
    for (reply, kind) in [
        (Reply::json(401, r#"{"error":"invalid_client"}"#), ErrorKind::Config),
        (Reply::json(403, "{}"), ErrorKind::Permission),
    ] {
        vendor.change(|rules| rules.revocation = Some(reply));
        let error = worker().revoke().await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (kind, Some("revoke the tokens")));
        assert!(TokenStore::load(&*store, &key).await.unwrap().is_some());
    }
    let error = refreshing(&resources, "rt-0").build().revoke().await.unwrap_err();
    assert_eq!(error.fields(), &["revocation_url".to_owned()][..]);
    // A token that the vendor does not know any more is as good as revoked, and forgetting needs no vendor.
    vendor.change(|rules| rules.revocation = Some(Reply::json(400, r#"{"error":"invalid_token"}"#)));
    worker().revoke().await.unwrap();
    assert!(TokenStore::load(&*store, &key).await.unwrap().is_none());
    TokenStore::save(&*store, &key, Generation(0), &connected("at", "rt")).await.unwrap();
    let calls = vendor.transport.sent().len();
    worker().forget().await.unwrap();
    assert!(TokenStore::load(&*store, &key).await.unwrap().is_none());
    assert_eq!(vendor.transport.sent().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_clock_that_is_a_day_off_or_steps_during_the_run_costs_one_token_call_at_most() {
    let day = Duration::from_secs(86_400);
    let hour = Duration::from_secs(3600);
    for skew in [day, Duration::ZERO] {
        // The machine that stores is a day ahead, and then right; its token is stored with an end.
        let vendor = Vendor::new();
        let (_, _, resources) = watched(&vendor);
        let right = vendor.clock.now();
        vendor.clock.set(right + skew);
        let auth = refreshing(&resources, "rt-0").build();
        authorization(&auth).await.unwrap();
        for step in [right - day, right + day, right] {
            vendor.clock.set(step);
            sleep(Duration::from_secs(900)).await;
            assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
        }
        sleep(hour).await;
        assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2", "the monotonic clock decides");
        assert_eq!(vendor.token_calls().len(), 2);
        // A worker that starts with a clock a day ahead takes the stored token for over, and renews once.
        vendor.clock.set(right + day + hour);
        let ahead = refreshing(&resources, "rt-0").build();
        let client = client(&vendor, &ahead);
        read(&client, 1).await.unwrap();
        read(&client, 2).await.unwrap();
        assert!(vendor.token_calls().len() <= 3);
        // One a day behind takes it for good, and renews when it is refused.
        vendor.clock.set(right - day);
        let behind = refreshing(&resources, "rt-0").build();
        sleep(hour * 2).await;
        vendor.change(|rules| rules.access = "another".into());
        read(&crate::vendor::client(&vendor, &behind), 3).await.unwrap();
        assert!(vendor.token_calls().len() <= 4);
    }
}
