use std::sync::Arc;
use std::time::Duration;

use acople_testkit::memory::MemoryStore;
use tokio::time::sleep;

use crate::vendor::{Vendor, authorization, refreshing};

#[tokio::test(start_paused = true)]
async fn auth_10_a_token_without_lifetime_is_used_until_it_is_refused() {
    for member in ["", r#","expires_in":null"#, r#","expires_in":"soon""#] {
        let vendor = Vendor::new().with(|rules| rules.members = member.into());
        let auth = refreshing(&vendor.resources(), "rt-0").build();
        for _ in 0..5 {
            authorization(&auth).await.unwrap();
            sleep(Duration::from_secs(90 * 24 * 3600)).await;
        }
        assert_eq!(vendor.token_calls().len(), 1, "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn auth_10_a_lifetime_may_come_as_text() {
    let vendor = Vendor::new().with(|rules| rules.members = r#","expires_in":"100""#.into());
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    authorization(&auth).await.unwrap();
    sleep(Duration::from_secs(89)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    sleep(Duration::from_secs(11)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
}

#[tokio::test(start_paused = true)]
async fn auth_10_a_token_that_is_expired_already_is_renewed_before_use_at_most_once_a_second() {
    for member in [r#","expires_in":0"#, r#","expires_in":-3600"#, r#","expires_in":"0""#] {
        let vendor = Vendor::new();
        vendor.change(|rules| (rules.members, rules.delay) = (member.into(), Duration::ZERO));
        let auth = refreshing(&vendor.resources(), "rt-0").build();
        // Ten uses a second for five seconds.
        for _ in 0..50 {
            authorization(&auth).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(vendor.token_calls().len(), 5, "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn auth_10_ten_years_are_cut_to_one() {
    let vendor = Vendor::new().with(|rules| rules.members = r#","expires_in":315360000"#.into());
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    authorization(&auth).await.unwrap();
    sleep(Duration::from_secs(365 * 24 * 3600)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_wall_clock_that_is_wrong_or_steps_changes_nothing_for_the_token_in_hand() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    authorization(&auth).await.unwrap();
    vendor.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    vendor.clock.set(std::time::UNIX_EPOCH);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
    assert_eq!(vendor.token_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stored_token_has_the_rest_of_its_lifetime() {
    let vendor = Vendor::new();
    let resources = vendor.resources().with_tokens(Arc::new(MemoryStore::new()));
    authorization(&refreshing(&resources, "rt-0").build()).await.unwrap();
    vendor.clock.advance(Duration::from_secs(3000));
    let restarted = refreshing(&resources, "rt-0").build();
    assert_eq!(authorization(&restarted).await.unwrap(), "Bearer at-1");
    sleep(Duration::from_secs(601)).await;
    assert_eq!(authorization(&restarted).await.unwrap(), "Bearer at-2");
}
