//! The host's own keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use acople_core::{Clock, Error, ErrorKind, Result, Secret};
use acople_identity::{
    ApiKeyRecord, ApiKeyRequest, ApiKeyStore, ApiKeys, IdentityProvider, MemoryApiKeys, Proof,
};
use acople_testkit::FakeClock;
use proptest::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);

/// One store for several views of it, which can refuse to end keys.
#[derive(Clone, Debug, Default)]
struct Shared {
    inner: Arc<MemoryApiKeys>,
    refuses: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl ApiKeyStore for Shared {
    async fn insert(&self, record: ApiKeyRecord) -> Result<()> {
        self.inner.insert(record).await
    }

    async fn load(&self, id: &str) -> Result<Option<ApiKeyRecord>> {
        self.inner.load(id).await
    }

    async fn list(&self, owner: &str) -> Result<Vec<ApiKeyRecord>> {
        self.inner.list(owner).await
    }

    async fn end(&self, id: &str, at: SystemTime) -> Result<()> {
        if self.refuses.swap(false, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Transient, "the store is away"));
        }
        self.inner.end(id, at).await
    }
}

fn keys() -> (ApiKeys, Shared, FakeClock) {
    let (store, clock) = (Shared::default(), FakeClock::new());
    let keys = ApiKeys::new("acme", store.clone()).unwrap().with_clock(Arc::new(clock.clone()));
    (keys, store, clock)
}

fn request() -> ApiKeyRequest {
    ApiKeyRequest::new("customer-17").name("build server").scopes(["orders:read", "orders:write"])
}

async fn code(keys: &ApiKeys, key: &Secret) -> Option<String> {
    let error = keys.verify(key).await.err()?;
    assert_eq!(error.kind(), ErrorKind::Reauth);
    error.code().map(str::to_owned)
}

#[tokio::test]
async fn a_key_says_who_its_owner_is_and_what_they_may_do() {
    let (keys, _, clock) = keys();
    let issued = keys.issue(request().lifetime(HOUR)).await.unwrap();
    let identity = keys.identify(&Proof::Token(&issued.key)).await.unwrap();
    assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), ("acme", "customer-17"));
    assert_eq!(identity.name.as_deref(), Some("build server"));
    assert_eq!(identity.scopes.iter().collect::<Vec<_>>(), ["orders:read", "orders:write"]);
    assert_eq!(identity.expires_at, Some(clock.now() + HOUR));
    assert_eq!(identity.claims["key_id"], issued.record.id.as_str());
    let password = Secret::from("pw");
    let proof = Proof::Password { user: "u", password: &password };
    assert_eq!(keys.identify(&proof).await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_key_has_the_documented_form_and_enough_chance_in_it() {
    let (keys, _, _) = keys();
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let issued = keys.issue(request()).await.unwrap();
        let text = issued.key.expose().to_owned();
        let parts: Vec<&str> = text.split('_').collect();
        assert_eq!((parts[0], parts[1].len(), parts[2].len(), parts.len()), ("acme", 16, 60, 3));
        assert!(parts[1..].concat().chars().all(|c| c.is_ascii_lowercase() || ('2'..='7').contains(&c)));
        assert_eq!(parts[1], issued.record.id);
        assert_eq!(keys.id_of(&issued.key), Some(issued.record.id.clone()));
        assert!(seen.insert(parts[1].to_owned()) && seen.insert(parts[2].to_owned()));
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        assert_eq!(issued.record.hash, hash.as_ref());
        // Nothing that is kept or printed is the key.
        let kept = serde_json::to_string(&issued.record).unwrap();
        let shown = format!("{issued:?} {:?} {keys:?}", issued.record);
        assert!(!kept.contains(parts[2]) && !shown.contains(parts[2]));
    }
}

#[tokio::test]
async fn a_key_is_known_by_its_checksum_before_anybody_is_asked() {
    let (keys, _, _) = keys();
    let issued = keys.issue(request()).await.unwrap();
    let text = issued.key.expose();
    for wrong in [
        "",
        "acme",
        "acme_",
        "acme__",
        text.get(1..).unwrap(),
        text.get(..text.len() - 1).unwrap(),
        &format!("{text}a"),
        &format!(" {text}"),
        &format!("{text}\n"),
        &text.to_uppercase(),
        &text.replace("acme", "acme2"),
        &text.replacen('_', "-", 2),
        "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "acme_äaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let key = Secret::from(wrong);
        assert_eq!(code(&keys, &key).await.as_deref(), Some("api_key_malformed"), "{wrong}");
        assert_eq!(keys.id_of(&key), None);
    }
    // Good in itself, and of another stage.
    let elsewhere = ApiKeys::new("acme", MemoryApiKeys::new()).unwrap().issue(request()).await.unwrap();
    assert_eq!(code(&keys, &elsewhere.key).await.as_deref(), Some("api_key_unknown"));
}

#[tokio::test]
async fn the_id_of_a_key_with_another_secret_opens_nothing() {
    let (keys, store, _) = keys();
    let issued = keys.issue(request()).await.unwrap();
    let other = keys.issue(request()).await.unwrap();
    // A record whose hash is another key's: the id alone proves nothing.
    let mut record = issued.record.clone();
    record.id = "a".repeat(16);
    record.hash = other.record.hash;
    store.insert(record).await.unwrap();
    keys.verify(&issued.key).await.unwrap();
    let body = issued.key.expose().replace(&issued.record.id, &"a".repeat(16));
    assert_eq!(code(&keys, &Secret::from(body)).await.as_deref(), Some("api_key_malformed"));
    // With a checksum that fits, which anybody can work out.
    let forged = with_checksum(&format!("acme_{}_{}", issued.record.id, "b".repeat(52)));
    assert_eq!(code(&keys, &forged).await.as_deref(), Some("api_key_unknown"));
    let forged = with_checksum(&format!("acme_{}_{}", "a".repeat(16), "b".repeat(52)));
    assert_eq!(code(&keys, &forged).await.as_deref(), Some("api_key_unknown"));
}

fn with_checksum(body: &str) -> Secret {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    // Eight times five bits, one by one.
    let bit = |n: usize| usize::from(hash.as_ref()[n / 8] >> (7 - n % 8) & 1);
    let five = |n: usize| (0..5).fold(0, |five, k| five << 1 | bit(5 * n + k));
    let check: String = (0..8).map(|n| char::from(ALPHABET[five(n)])).collect();
    Secret::from(format!("{body}{check}"))
}

#[tokio::test]
async fn a_key_ends_when_its_time_is_over() {
    let (keys, _, clock) = keys();
    let key = keys.issue(request().lifetime(HOUR)).await.unwrap().key;
    clock.advance(Duration::from_secs(3599));
    keys.verify(&key).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(code(&keys, &key).await.as_deref(), Some("api_key_ended"));
}

#[tokio::test]
async fn a_revoked_key_ends_at_once_and_for_good() {
    let (keys, _, clock) = keys();
    let issued = keys.issue(request()).await.unwrap();
    keys.revoke(&issued.record.id).await.unwrap();
    assert_eq!(code(&keys, &issued.key).await.as_deref(), Some("api_key_ended"));
    clock.advance(HOUR);
    keys.revoke(&issued.record.id).await.unwrap();
    let error = keys.rotate(&issued.record.id, HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(code(&keys, &issued.key).await.as_deref(), Some("api_key_ended"));
    assert_eq!(keys.list("customer-17").await.unwrap().len(), 1);
    assert_eq!(keys.revoke("nobody").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(keys.rotate("nobody", HOUR).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_replaced_key_goes_on_for_the_overlap_and_no_longer_than_it_would_have() {
    let (keys, _, clock) = keys();
    let old = keys.issue(request().lifetime(24 * HOUR)).await.unwrap();
    clock.advance(HOUR);
    let new = keys.rotate(&old.record.id, 2 * HOUR).await.unwrap();
    assert_eq!((&new.record.owner, &new.record.scopes), (&old.record.owner, &old.record.scopes));
    assert_eq!(new.record.ends_at, Some(clock.now() + 24 * HOUR));
    keys.verify(&old.key).await.unwrap();
    keys.verify(&new.key).await.unwrap();
    clock.advance(2 * HOUR);
    assert_eq!(code(&keys, &old.key).await.as_deref(), Some("api_key_ended"));
    keys.verify(&new.key).await.unwrap();
    // A long overlap does not lengthen a short life.
    clock.advance(21 * HOUR);
    let third = keys.rotate(&new.record.id, 100 * HOUR).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(code(&keys, &new.key).await.as_deref(), Some("api_key_ended"));
    keys.verify(&third.key).await.unwrap();
}

#[tokio::test]
async fn a_replacement_that_the_store_does_not_take_leaves_the_old_key_as_it_was() {
    let (keys, store, clock) = keys();
    let old = keys.issue(request()).await.unwrap();
    store.refuses.store(true, Ordering::SeqCst);
    assert_eq!(keys.rotate(&old.record.id, HOUR).await.unwrap_err().kind(), ErrorKind::Transient);
    clock.advance(2 * HOUR);
    keys.verify(&old.key).await.unwrap();
    let alive = keys.list("customer-17").await.unwrap();
    assert_eq!(alive.iter().filter(|record| record.ends_at.is_none()).count(), 1);
}

#[tokio::test]
async fn a_prefix_or_a_request_that_cannot_be_meant_is_refused() {
    for prefix in ["", "_", "a_", "1a", "Acme", "ac-me", "ac me", "ä", "abcdefghijklmnopqrstu"] {
        let error = ApiKeys::new(prefix, MemoryApiKeys::new()).unwrap_err();
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &["prefix".to_owned()][..]),
            "{prefix}"
        );
    }
    let live = ApiKeys::new("acme_live", MemoryApiKeys::new()).unwrap();
    let issued = live.issue(request()).await.unwrap();
    live.verify(&issued.key).await.unwrap();
    assert_eq!(live.issue(ApiKeyRequest::new("")).await.unwrap_err().fields(), ["owner"]);
}

/// What a host does with its keys.
#[derive(Clone, Debug)]
enum Act {
    Issue { hours: Option<u64> },
    Rotate { key: usize, overlap: u64 },
    Revoke { key: usize },
    Wait { hours: u64 },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        prop::option::of(1_u64..20).prop_map(|hours| Act::Issue { hours }),
        (0_usize..8, 0_u64..10).prop_map(|(key, overlap)| Act::Rotate { key, overlap }),
        (0_usize..8).prop_map(|key| Act::Revoke { key }),
        (0_u64..6).prop_map(|hours| Act::Wait { hours }),
    ];
    prop::collection::vec(act, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_counts_exactly_until_its_end_whatever_order_things_come_in(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (keys, _, clock) = keys();
            let hour = |hours: u64| HOUR * u32::try_from(hours).unwrap();
            // The model: key, length of life, end.
            let mut model: Vec<(Secret, String, Option<Duration>, Option<SystemTime>)> = Vec::new();
            for act in acts {
                let now = clock.now();
                match act {
                    Act::Issue { hours } => {
                        let mut wanted = request();
                        wanted.lifetime = hours.map(hour);
                        let issued = keys.issue(wanted).await.unwrap();
                        model.push((issued.key, issued.record.id, hours.map(hour), hours.map(|h| now + hour(h))));
                    }
                    Act::Rotate { key, overlap } if key < model.len() => {
                        let result = keys.rotate(&model[key].1, hour(overlap)).await;
                        let (_, _, life, end) = model[key].clone();
                        prop_assert_eq!(result.is_ok(), end.is_none_or(|end| now < end));
                        if let Ok(issued) = result {
                            let ends = now + hour(overlap);
                            model[key].3 = Some(end.map_or(ends, |end| end.min(ends)));
                            model.push((issued.key, issued.record.id, life, life.map(|life| now + life)));
                        }
                    }
                    Act::Revoke { key } if key < model.len() => {
                        keys.revoke(&model[key].1).await.unwrap();
                        model[key].3 = Some(model[key].3.map_or(now, |end| end.min(now)));
                    }
                    Act::Wait { hours } => clock.advance(hour(hours)),
                    Act::Rotate { .. } | Act::Revoke { .. } => {}
                }
                for (key, _, _, end) in &model {
                    let counts = end.is_none_or(|end| clock.now() < end);
                    prop_assert_eq!(keys.verify(key).await.is_ok(), counts);
                }
            }
            Ok(())
        })?;
    }
}
