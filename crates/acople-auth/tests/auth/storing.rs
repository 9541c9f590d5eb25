use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use acople_core::{
    Clock, ConnectionKey, Error, ErrorKind, Generation, Resources, Result, Secret, TokenSet, TokenStore,
};
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use crate::vendor::{Vendor, authorization, client, read, refreshing};

fn tokens(access: &str, refresh: &str, expires_at: Option<SystemTime>) -> TokenSet {
    TokenSet {
        access: access.into(),
        refresh: Some(refresh.into()),
        expires_at,
        endpoint: None,
        extra: BTreeMap::new(),
    }
}

async fn stored(store: &dyn TokenStore, resources: &Resources) -> (String, String) {
    let (tokens, _) = store.load(&resources.connection_key("example")).await.unwrap().unwrap();
    (tokens.access.expose().to_owned(), tokens.refresh.unwrap().expose().to_owned())
}

/// A store whose saves take a while, and which notes when they were done.
#[derive(Debug, Default)]
struct SlowStore {
    inner: MemoryStore,
    done: Mutex<Vec<Instant>>,
}

#[async_trait]
impl TokenStore for SlowStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        TokenStore::load(&self.inner, key).await
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        sleep(Duration::from_secs(2)).await;
        let generation = TokenStore::save(&self.inner, key, expected, tokens).await?;
        self.done.lock().unwrap().push(Instant::now());
        Ok(generation)
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        TokenStore::remove(&self.inner, key).await
    }
}

/// A store that hangs.
#[derive(Debug)]
struct DeadStore;

#[async_trait]
impl TokenStore for DeadStore {
    async fn load(&self, _: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        Ok(None)
    }

    async fn save(&self, _: &ConnectionKey, _: Generation, _: &TokenSet) -> Result<Generation> {
        std::future::pending().await
    }

    async fn remove(&self, _: &ConnectionKey) -> Result<()> {
        Err(Error::new(ErrorKind::Transient, "dead"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_token_is_durable_before_any_caller_gets_the_new_access_token() {
    let vendor = Vendor::new();
    let store = Arc::new(SlowStore::default());
    let resources = vendor.resources().with_tokens(store.clone());
    let auth = refreshing(&resources, "rt-0").seed("worn-out".into()).build();
    let mut callers = tokio::task::JoinSet::new();
    for id in 0..20 {
        let client = client(&vendor, &auth);
        callers.spawn(async move {
            // Some come while the token is asked for, some while it is being stored.
            sleep(Duration::from_millis(150) * u32::try_from(id).unwrap()).await;
            read(&client, id).await.unwrap();
            Instant::now()
        });
    }
    let served = callers.join_all().await;
    let durable = store.done.lock().unwrap().clone();
    assert_eq!(durable.len(), 1);
    assert!(served.iter().all(|at| *at >= durable[0]));
    assert_eq!(stored(&*store, &resources).await, ("at-1".into(), "rt-1".into()));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_stored_tokens_win_over_the_configured_ones() {
    let vendor = Vendor::new();
    let resources = vendor.resources().with_tokens(Arc::new(MemoryStore::new()));
    let first = refreshing(&resources, "rt-0").build();
    authorization(&first).await.unwrap();

    let second = refreshing(&resources, "rt-0").seed("at-0".into()).build();
    assert_eq!(authorization(&second).await.unwrap(), "Bearer at-1");
    assert_eq!(vendor.token_calls().len(), 1, "a stored access token that is still good is used");
    vendor.change(|rules| rules.access = "revoked".into());
    read(&client(&vendor, &second), 1).await.unwrap();
    let calls = vendor.token_calls();
    assert!(calls[1].body().contains("refresh_token=rt-1&"), "{}", calls[1].body());
}

#[tokio::test(start_paused = true)]
async fn a_new_refresh_token_in_the_config_wins_over_stored_ones() {
    let vendor = Vendor::new();
    let resources = vendor.resources().with_tokens(Arc::new(MemoryStore::new()));
    authorization(&refreshing(&resources, "rt-0").build()).await.unwrap();

    // The customer connects the account again: the vendor knows the new pair only.
    vendor.change(|rules| rules.refresh = "rt-fresh".into());
    let reconnected = refreshing(&resources, "rt-fresh").build();
    assert_eq!(authorization(&reconnected).await.unwrap(), "Bearer at-2");
    // And from then on its successors win again.
    let restarted = refreshing(&resources, "rt-fresh").build();
    assert_eq!(authorization(&restarted).await.unwrap(), "Bearer at-2");
    assert_eq!(vendor.token_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_the_host_stored_itself_are_used() {
    let vendor = Vendor::new().with(|rules| rules.refresh = "rt-host".into());
    let store = MemoryStore::new();
    let resources = vendor.resources().with_tokens(Arc::new(store.clone()));
    let ended = vendor.clock.now() - Duration::from_secs(1);
    let key = resources.connection_key("example");
    TokenStore::save(&store, &key, Generation(0), &tokens("at-host", "rt-host", Some(ended))).await.unwrap();
    let auth = refreshing(&resources, "rt-0").build();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert!(vendor.token_calls()[0].body().contains("refresh_token=rt-host&"));
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_does_not_rotate_keeps_the_refresh_token() {
    let vendor = Vendor::new().with(|rules| rules.rotates = false);
    let store = Arc::new(MemoryStore::new());
    let resources = vendor.resources().with_tokens(store.clone());
    let auth = refreshing(&resources, "rt-0").build();
    for _ in 0..2 {
        authorization(&auth).await.unwrap();
        sleep(Duration::from_secs(3700)).await;
    }
    assert_eq!(vendor.token_calls().len(), 2);
    assert_eq!(stored(&*store, &resources).await, ("at-2".into(), "rt-0".into()));
}

#[tokio::test(start_paused = true)]
async fn auth_08_tokens_that_cannot_be_stored_are_used_and_saved_again_with_growing_pauses() {
    let vendor = Vendor::new();
    let store = Arc::new(MemoryStore::new());
    let resources = vendor.resources().with_tokens(store.clone());
    let auth = refreshing(&resources, "rt-0").build();
    store.fail_next_saves(3);
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert!(auth.flush().await.is_err(), "the host can learn that tokens would be lost");
    // Failed twice now: the third try is due after two seconds, the fourth four seconds later.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert_eq!(store.saves(), 0);
    sleep(Duration::from_secs(3)).await;
    authorization(&auth).await.unwrap();
    assert_eq!(store.saves(), 0);
    sleep(Duration::from_secs(1)).await;
    authorization(&auth).await.unwrap();
    assert_eq!(stored(&*store, &resources).await, ("at-1".into(), "rt-1".into()));
    auth.flush().await.unwrap();
    assert_eq!((store.saves(), vendor.token_calls().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_save_whose_answer_is_lost_is_recognised_as_our_own() {
    let vendor = Vendor::new();
    let store = Arc::new(MemoryStore::new());
    let resources = vendor.resources().with_tokens(store.clone());
    let auth = refreshing(&resources, "rt-0").build();
    store.lose_next_answers(1);
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    auth.flush().await.unwrap();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    sleep(Duration::from_secs(3700)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
    assert_eq!(stored(&*store, &resources).await, ("at-2".into(), "rt-2".into()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hang_the_callers_for_ever() {
    let vendor = Vendor::new();
    let resources = vendor.resources().with_tokens(Arc::new(DeadStore));
    let auth = refreshing(&resources, "rt-0").build();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_at_the_start_is_an_error_and_no_refresh_token_is_spent() {
    #[derive(Debug)]
    struct Unreadable(Mutex<u32>);
    #[async_trait]
    impl TokenStore for Unreadable {
        async fn load(&self, _: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
            let mut left = self.0.lock().unwrap();
            if *left == 0 {
                return Ok(None);
            }
            *left -= 1;
            Err(Error::new(ErrorKind::Transient, "no connection to the database"))
        }
        async fn save(&self, _: &ConnectionKey, _: Generation, _: &TokenSet) -> Result<Generation> {
            Ok(Generation(1))
        }
        async fn remove(&self, _: &ConnectionKey) -> Result<()> {
            Ok(())
        }
    }
    let vendor = Vendor::new();
    let resources = vendor.resources().with_tokens(Arc::new(Unreadable(Mutex::new(1))));
    let auth = refreshing(&resources, "rt-0").build();
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Transient, Some("load the tokens")));
    assert!(vendor.token_calls().is_empty());
    sleep(Duration::from_secs(1)).await;
    authorization(&auth).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_another_worker_has_renewed_meanwhile_is_used_instead_of_refreshing() {
    let vendor = Vendor::new();
    let store = MemoryStore::new();
    let resources = vendor.resources().with_tokens(Arc::new(store));
    let ours = refreshing(&resources, "rt-0").build();
    let theirs = refreshing(&resources, "rt-0").build();
    authorization(&ours).await.unwrap();
    authorization(&theirs).await.unwrap();
    vendor.change(|rules| rules.access = "revoked".into());
    read(&client(&vendor, &theirs), 1).await.unwrap();
    read(&client(&vendor, &ours), 2).await.unwrap();
    assert_eq!(vendor.token_calls().len(), 2, "one first call, one renewal for both");
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_race_takes_over_what_the_winner_stored() {
    // The vendor accepts the refresh token of both, as within a grace period.
    let vendor = Vendor::new().with(|rules| rules.rotates = false);
    let store = Arc::new(MemoryStore::new());
    store.overrun_leases();
    let resources = vendor.resources().with_tokens(store.clone());
    let (ours, theirs) = (refreshing(&resources, "rt-0").build(), refreshing(&resources, "rt-0").build());
    let (a, b) = tokio::join!(authorization(&ours), authorization(&theirs));
    assert_eq!(vendor.token_calls().len(), 2);
    let winner = stored(&*store, &resources).await.0;
    assert_eq!((a.unwrap(), b.unwrap()), (format!("Bearer {winner}"), format!("Bearer {winner}")));
    assert_eq!(store.saves(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_is_forgiven_when_another_worker_has_stored_a_newer_one() {
    // Refused after theirs is stored, and before.
    for refused_after in [Duration::from_millis(600), Duration::ZERO] {
        let vendor = Vendor::new();
        let store = Arc::new(MemoryStore::new());
        store.overrun_leases();
        let resources = vendor.resources().with_tokens(store.clone());
        let ours = refreshing(&resources, "rt-0").build();
        let theirs = refreshing(&resources, "rt-0").build();
        // Theirs is on the wire first; ours is refused, and finds in the store what theirs has brought.
        let (theirs, ours) = tokio::join!(authorization(&theirs), async {
            sleep(Duration::from_millis(10)).await;
            vendor.change(|rules| rules.delay = refused_after);
            authorization(&ours).await
        });
        assert_eq!(theirs.unwrap(), "Bearer at-1");
        assert_eq!(ours.unwrap(), "Bearer at-1");
        assert_eq!(vendor.token_calls().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_gets_tenant_connector_and_connection_and_no_secret_among_the_extras() {
    let vendor = Vendor::new().with(|rules| rules.members = r#","hub_id":42,"expires_in":"1800""#.into());
    let store = MemoryStore::new();
    let resources = vendor
        .resources()
        .with_tokens(Arc::new(store.clone()))
        .with_connection("main")
        .with_tenant("customer-17");
    let auth = refreshing(&resources, "rt-0").keep(&["hub_id"]).build();
    authorization(&auth).await.unwrap();
    let key = ConnectionKey::new("example", "main").with_tenant("customer-17");
    let (tokens, _) = TokenStore::load(&store, &key).await.unwrap().unwrap();
    assert_eq!(tokens.refresh.as_ref().map(Secret::expose), Some("rt-1"));
    assert_eq!(tokens.expires_at, Some(vendor.clock.now() + Duration::from_secs(1800)));
    assert_eq!(tokens.extra["hub_id"], "42");
    assert!(tokens.extra.values().all(|value| !value.contains("rt-") && !value.contains("at-")));
}
