//! What the leases of a token store promise.

use std::time::Duration;

use acople_core::{ConnectionKey, Lease, TokenStore};
use futures_util::future::join_all;

/// A term that outlasts a check.
const LONG: Duration = Duration::from_secs(600);

/// Checks the leases of a [`TokenStore`] that several workers share: one that answers every wish with
/// "granted", as the trait does by itself, does not pass. Takes less than a second.
///
/// # Panics
/// When the store breaks a promise.
pub async fn token_leases(store: &dyn TokenStore) {
    one_of_many_holds_the_lease(store).await;
    a_lease_is_prolonged_and_given_back_by_its_holder_alone(store).await;
    a_lease_that_is_over_goes_to_the_next(store).await;
}

async fn one_of_many_holds_the_lease(store: &dyn TokenStore) {
    let key = ConnectionKey::new("hubspot", "leased by many");
    let names: Vec<String> = (0..16).map(|worker| format!("worker {worker}")).collect();
    let asked = join_all(names.iter().map(|name| store.lease(&key, name, LONG))).await;
    let mut granted = 0;
    for answer in asked {
        match answer.expect("lease") {
            Lease::Granted => granted += 1,
            Lease::Busy(left) => assert!(left <= LONG, "a lease outlasts its term: {left:?} are left"),
        }
    }
    assert_eq!(granted, 1, "{granted} of {} workers hold one lease", names.len());
    let others = [
        ConnectionKey::new("hubspot", "leased by one"),
        ConnectionKey::new("salesforce", "leased by many"),
        ConnectionKey::new("hubspot", "leased by many").with_tenant("acme"),
    ];
    for other in others {
        let answer = store.lease(&other, "an outsider", LONG).await.expect("lease");
        assert_eq!(answer, Lease::Granted, "leases of two connections are mixed up");
    }
}

async fn a_lease_is_prolonged_and_given_back_by_its_holder_alone(store: &dyn TokenStore) {
    let key = ConnectionKey::new("hubspot", "leased");
    let ask = async |holder: &str| store.lease(&key, holder, LONG).await.expect("lease");
    store.release(&key, "nobody").await.expect("releasing what is not held");
    assert_eq!(ask("one").await, Lease::Granted);
    assert_eq!(ask("one").await, Lease::Granted, "a holder cannot prolong its lease");
    store.release(&key, "two").await.expect("releasing what another holds");
    assert!(matches!(ask("two").await, Lease::Busy(_)), "a stranger gave a lease back");
    store.release(&key, "one").await.expect("release");
    assert_eq!(ask("two").await, Lease::Granted, "a lease that was given back is still held");
}

async fn a_lease_that_is_over_goes_to_the_next(store: &dyn TokenStore) {
    let key = ConnectionKey::new("hubspot", "leased for a moment");
    let short = Duration::from_millis(50);
    assert_eq!(store.lease(&key, "one", short).await.expect("lease"), Lease::Granted);
    tokio::time::sleep(short * 4).await;
    let next = store.lease(&key, "two", LONG).await.expect("lease");
    assert_eq!(next, Lease::Granted, "a lease does not end with its term");
    let late = store.lease(&key, "one", LONG).await.expect("lease");
    assert!(matches!(late, Lease::Busy(_)), "a holder prolonged a lease that another has by now");
    // What it thinks it has to give back is another's.
    store.release(&key, "one").await.expect("release");
    assert!(matches!(store.lease(&key, "three", LONG).await.expect("lease"), Lease::Busy(_)));
}
