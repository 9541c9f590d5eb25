//! Keys that are at a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use acople_core::{Error, ErrorKind, Result};
use acople_seal::{DataKey, KeyService, Keyring, MasterKey, Place, Sealer, key_id};

use crate::{PLACE, contains, master};

/// A service that binds to the context, counts, and can be made to fail.
#[derive(Debug)]
struct Kms {
    id: String,
    key: MasterKey,
    wraps: AtomicUsize,
    unwraps: AtomicUsize,
    down: AtomicBool,
}

impl Kms {
    fn new(id: &str) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            key: master("kms"),
            wraps: AtomicUsize::new(0),
            unwraps: AtomicUsize::new(0),
            down: AtomicBool::new(false),
        })
    }

    fn calls(&self) -> (usize, usize) {
        (self.wraps.load(Ordering::Relaxed), self.unwraps.load(Ordering::Relaxed))
    }

    fn up(&self) -> Result<()> {
        if self.down.load(Ordering::Relaxed) {
            return Err(
                Error::new(ErrorKind::Transient, "no answer").with_retry_after(Duration::from_secs(3))
            );
        }
        Ok(())
    }
}

#[async_trait]
impl KeyService for Kms {
    fn key_id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, data_key: &DataKey, context: &[u8]) -> Result<Vec<u8>> {
        self.up()?;
        self.wraps.fetch_add(1, Ordering::Relaxed);
        let context = format!("{context:?}");
        self.key.seal(&at(&[&context]), data_key.expose().to_vec().into())
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey> {
        self.up()?;
        self.unwraps.fetch_add(1, Ordering::Relaxed);
        let context = format!("{context:?}");
        DataKey::from_bytes(&Keyring::new(self.key.clone()).open(&at(&[&context]), wrapped)?)
    }
}

fn at<'a>(key: &'a [&'a str]) -> Place<'a> {
    Place { kind: "kms", key, generation: 0 }
}

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[tokio::test]
async fn sec_05_a_service_wraps_the_data_key_and_its_key_id_is_stored() {
    let kms = Kms::new(ARN);
    let sealer = Sealer::with_service(kms.clone()).unwrap();
    let sealed = sealer.seal(&PLACE, b"CANARY".to_vec().into()).await.unwrap();
    assert!(!contains(&sealed, "CANARY"));
    assert_eq!(key_id(&sealed), Some(ARN));
    assert_eq!(*sealer.open(&PLACE, &sealed).await.unwrap(), b"CANARY");
    assert_eq!(kms.calls(), (1, 1), "one wrap a write, one unwrap a read");
    assert!(sealer.fresh_key(&PLACE).await.unwrap().master().is_none(), "no master key's use to count");
}

#[tokio::test]
async fn sec_06_what_a_service_wrapped_opens_in_its_place_alone() {
    let sealer = Sealer::with_service(Kms::new(ARN)).unwrap();
    let sealed = sealer.seal(&PLACE, b"text".to_vec().into()).await.unwrap();
    for place in [
        Place { kind: "secret", ..PLACE },
        Place { generation: 8, ..PLACE },
        Place { key: &["other", "hubspot", "main"], ..PLACE },
    ] {
        assert_eq!(sealer.open(&place, &sealed).await.unwrap_err().kind(), ErrorKind::Internal, "{place:?}");
    }
    // A service that binds to nothing: the text is bound all the same.
    let loose = Sealer::with_service(Arc::new(Loose)).unwrap();
    let sealed = loose.seal(&PLACE, b"text".to_vec().into()).await.unwrap();
    assert_eq!(*loose.open(&PLACE, &sealed).await.unwrap(), b"text");
    let other = Place { key: &["other", "hubspot", "main"], ..PLACE };
    let error = loose.open(&other, &sealed).await.unwrap_err();
    assert!(error.message().contains("comes from another place"), "{error}");
}

/// "Wraps" by turning the bits: the worst service there can be.
#[derive(Debug)]
struct Loose;

#[async_trait]
impl KeyService for Loose {
    fn key_id(&self) -> &'static str {
        "loose"
    }

    async fn wrap(&self, data_key: &DataKey, _: &[u8]) -> Result<Vec<u8>> {
        Ok(data_key.expose().iter().map(|byte| !byte).collect())
    }

    async fn unwrap(&self, wrapped: &[u8], _: &[u8]) -> Result<DataKey> {
        DataKey::from_bytes(&wrapped.iter().map(|byte| !byte).collect::<Vec<u8>>())
    }
}

#[tokio::test]
async fn sec_07_every_flipped_bit_and_every_cut_of_a_services_envelope_is_refused() {
    let sealer = Sealer::with_service(Arc::new(Loose)).unwrap();
    let sealed = sealer.seal(&PLACE, b"text".to_vec().into()).await.unwrap();
    for length in 0..sealed.len() {
        assert!(sealer.open(&PLACE, &sealed[..length]).await.is_err(), "cut to {length}");
    }
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(sealer.open(&PLACE, &changed).await.is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[tokio::test]
async fn sec_07_a_failing_service_is_an_error_of_its_kind_that_names_it() {
    let kms = Kms::new(ARN);
    let sealer = Sealer::with_service(kms.clone()).unwrap();
    let sealed = sealer.seal(&PLACE, b"text".to_vec().into()).await.unwrap();
    kms.down.store(true, Ordering::Relaxed);
    let read = sealer.open(&PLACE, &sealed).await.unwrap_err();
    let write = sealer.seal(&PLACE, b"text".to_vec().into()).await.unwrap_err();
    for error in [read, write] {
        assert!(error.is_retryable(), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        assert!(error.message().contains(ARN) && error.message().contains("no answer"), "{error}");
    }
    kms.down.store(false, Ordering::Relaxed);
    assert_eq!(*sealer.open(&PLACE, &sealed).await.unwrap(), b"text");
}

#[tokio::test]
async fn sec_07_a_store_moves_from_a_master_key_to_a_service_and_back() {
    let keys = Keyring::new(master("local"));
    let kms = Kms::new(ARN);
    let local = Sealer::from(keys.clone());
    let before = local.seal(&PLACE, b"text".to_vec().into()).await.unwrap();

    let moved = Sealer::with_service(kms.clone()).unwrap().with_old_keys(&keys).unwrap();
    assert!(moved.needs_rewrap(&before) && !local.needs_rewrap(&before));
    assert_eq!(*moved.open(&PLACE, &before).await.unwrap(), b"text");
    let after = moved.seal(&PLACE, b"text".to_vec().into()).await.unwrap();
    assert_eq!(key_id(&after), Some(ARN));
    assert!(!moved.needs_rewrap(&after));

    let error = local.open(&PLACE, &after).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains(ARN), "{error}");
    let back = local.with_old_service(kms).unwrap();
    assert_eq!(*back.open(&PLACE, &after).await.unwrap(), b"text");
    assert!(back.needs_rewrap(&after));
}

#[tokio::test(start_paused = true)]
async fn unwrapped_keys_are_kept_for_their_term_and_not_beyond_the_limit() {
    let kms = Kms::new(ARN);
    let sealer = Sealer::with_service(kms.clone()).unwrap().with_cache(2, Duration::from_secs(60));
    let mut sealed = Vec::new();
    for generation in 0..3 {
        let place = Place { generation, ..PLACE };
        sealed.push((place, sealer.seal(&place, b"text".to_vec().into()).await.unwrap()));
    }
    let open = async |number: usize| {
        let (place, sealed) = &sealed[number];
        assert_eq!(*sealer.open(place, sealed).await.unwrap(), b"text");
        kms.calls().1
    };
    assert_eq!((open(1).await, open(2).await, open(1).await), (0, 0, 0), "the two that were written last");
    assert_eq!(open(0).await, 1, "the third was the first to go");
    assert_eq!(open(0).await, 1);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!((open(0).await, open(0).await), (2, 2), "the term was over");
    sealer.clear_cache();
    assert_eq!(open(0).await, 3, "forgotten when told");
}

#[tokio::test]
async fn a_key_that_does_not_open_is_not_kept() {
    let kms = Kms::new(ARN);
    let sealer = Sealer::with_service(kms.clone()).unwrap();
    let mut sealed = sealer.seal(&PLACE, b"text".to_vec().into()).await.unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    let caching = sealer.with_cache(10, Duration::from_secs(60));
    for round in 1..3 {
        caching.open(&PLACE, &sealed).await.unwrap_err();
        assert_eq!(kms.calls().1, round);
    }
}

#[test]
fn ids_of_services_are_checked() {
    for id in ["", "with space", "ümlaut", &"x".repeat(1025)] {
        assert_eq!(Sealer::with_service(Kms::new(id)).unwrap_err().kind(), ErrorKind::Config, "{id:?}");
    }
    let twice = Sealer::with_service(Kms::new("k")).unwrap().with_old_service(Kms::new("k"));
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn sec_05_plaintext_is_kept_and_opened_only_where_it_was_asked_for_as_insecure() {
    let insecure = Sealer::insecure_plaintext();
    let plain = insecure.seal(&PLACE, b"text".to_vec().into()).await.unwrap();
    assert_eq!(*insecure.open(&PLACE, &plain).await.unwrap(), b"text");
    assert!(contains(&plain, "text") && !insecure.needs_rewrap(&plain));

    let sealer = Sealer::new(master("k"));
    let error = sealer.open(&PLACE, &plain).await.unwrap_err();
    assert!(error.message().contains("not encrypted"), "{error}");
    let moving = sealer.insecure_open_plaintext();
    assert_eq!(*moving.open(&PLACE, &plain).await.unwrap(), b"text");
    assert!(moving.needs_rewrap(&plain));

    let nothing = Sealer::default();
    assert_eq!(nothing.seal(&PLACE, b"text".to_vec().into()).await.unwrap_err().kind(), ErrorKind::Config);
    assert!(nothing.open(&PLACE, &plain).await.is_err());
}
