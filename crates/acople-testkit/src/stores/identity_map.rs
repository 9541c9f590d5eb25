//! The promises of an identity map.

use acople_core::{ErrorKind, IdentityMap, LINK_NOTE_LIMIT, Link, Pairing, Side};
use futures_util::future::join_all;

use super::WRITERS;

/// Checks the promises of [`IdentityMap`].
///
/// # Panics
/// When the map breaks one.
pub async fn identity_map(map: &dyn IdentityMap) {
    links_are_found_from_both_sides(map).await;
    pairings_do_not_mix(map).await;
    a_record_has_one_counterpart(map).await;
    links_are_scanned_in_pages(map).await;
    links_are_removed(map).await;
    notes_have_a_limit(map).await;
    racing_puts_are_all_kept(map).await;
}

async fn links_are_found_from_both_sides(map: &dyn IdentityMap) {
    let pairing = pairing("found");
    map.put(&pairing, &[]).await.expect("putting nothing");
    assert!(map.scan(&pairing, None, 10).await.expect("scan").is_empty(), "the suite wants an empty map");
    let link = Link::new("a\u{1f}\0\u{fc}", "1").with_seen("run 1").with_note("{\"name\":\"\u{fc}\"}");
    let without = Link::new("b", "");
    map.put(&pairing, &[link.clone(), without.clone()]).await.expect("put");
    let found = map.by_source(&pairing, &ids(&["b", "?", &link.source])).await.expect("by source");
    assert_eq!(found, [Some(without), None, Some(link.clone())], "by source, in the order of the ids");
    let found = map.by_target(&pairing, &ids(&["", "1", "a"])).await.expect("by target");
    assert_eq!(found, [None, Some(link), None], "by target, in the order of the ids");
}

async fn pairings_do_not_mix(map: &dyn IdentityMap) {
    let all = [
        pairing("mixed"),
        pairing("mixed").with_tenant("acme"),
        pairing("mixed2"),
        Pairing::new("mixed", Side::new("a", "bc"), Side::new("d", "e")),
        Pairing::new("mixed", Side::new("ab", "c"), Side::new("d", "e")),
        Pairing::new("mixed", Side::new("a", "bc"), Side::new("de", "")),
    ];
    for (number, pairing) in all.iter().enumerate() {
        map.put(pairing, &[Link::new("same", number.to_string())]).await.expect("put");
    }
    for (number, pairing) in all.iter().enumerate() {
        let targets: Vec<String> =
            map.scan(pairing, None, 10).await.expect("scan").into_iter().map(|l| l.target).collect();
        assert_eq!(targets, [number.to_string()], "links of two pairings are mixed up");
    }
}

async fn a_record_has_one_counterpart(map: &dyn IdentityMap) {
    let pairing = pairing("single");
    map.put(&pairing, &[Link::new("a", "1"), Link::new("b", "2"), Link::new("c", ""), Link::new("d", "")])
        .await
        .expect("put");
    map.put(&pairing, &[Link::new("a", "3"), Link::new("e", "2")]).await.expect("put again");
    let left = pairs(&map.scan(&pairing, None, 10).await.expect("scan"));
    let wanted = ["a 3", "c ", "d ", "e 2"];
    assert_eq!(left, wanted, "a new link takes the place of those with its source or its target");
    let old = map.by_target(&pairing, &ids(&["1"])).await.expect("by target");
    assert_eq!(old, [None], "a replaced target is still found");
    map.put(&pairing, &[Link::new("f", "7").with_seen("1"), Link::new("f", "8").with_seen("2")])
        .await
        .expect("put one source twice");
    let found = map.by_source(&pairing, &ids(&["f"])).await.expect("by source");
    assert_eq!(found, [Some(Link::new("f", "8").with_seen("2"))], "of several in one call the later counts");
    assert_eq!(map.by_target(&pairing, &ids(&["7"])).await.expect("by target"), [None]);
}

async fn links_are_scanned_in_pages(map: &dyn IdentityMap) {
    let pairing = pairing("paged");
    let links: Vec<Link> =
        (0..30_u32).map(|n| Link::new(format!("{:02}", n * 7 % 30), n.to_string())).collect();
    map.put(&pairing, &links).await.expect("put");
    let wanted: Vec<String> = (0..30).map(|n| format!("{n:02}")).collect();
    for limit in [1, 7, 30, 100] {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = map.scan(&pairing, seen.last().map(String::as_str), limit).await.expect("scan");
            assert!(page.len() <= limit, "a page is longer than its limit");
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|link| link.source));
            assert!(seen.len() <= wanted.len(), "paging does not end");
        }
        assert_eq!(seen, wanted, "pages of {limit}");
    }
    let after = map.scan(&pairing, Some("14x"), 1).await.expect("scan");
    assert_eq!(
        after.first().map(|l| l.source.as_str()),
        Some("15"),
        "an id that is not there is a place, too"
    );
}

async fn links_are_removed(map: &dyn IdentityMap) {
    let pairing = pairing("removed");
    map.put(&pairing, &[Link::new("a", "1"), Link::new("b", "2")]).await.expect("put");
    map.remove(&pairing, &ids(&["a", "unknown"])).await.expect("unknown ids are ignored");
    assert_eq!(pairs(&map.scan(&pairing, None, 10).await.expect("scan")), ["b 2"]);
    assert_eq!(map.by_target(&pairing, &ids(&["1"])).await.expect("by target"), [None]);
    map.put(&pairing, &[Link::new("c", "1")]).await.expect("the target is free again");
}

async fn notes_have_a_limit(map: &dyn IdentityMap) {
    let pairing = pairing("limited");
    let longest = Link::new("a", "1").with_note("x".repeat(LINK_NOTE_LIMIT));
    map.put(&pairing, std::slice::from_ref(&longest)).await.expect("the longest note");
    let longer = Link::new("b", "2").with_note("x".repeat(LINK_NOTE_LIMIT + 1));
    let refused = map.put(&pairing, &[Link::new("c", "3"), longer]).await;
    assert_eq!(refused.expect_err("a note that is too long").kind(), ErrorKind::TooLarge);
    let left = map.scan(&pairing, None, 10).await.expect("scan");
    assert_eq!(left, [longest], "of a call that fails nothing is written");
}

async fn racing_puts_are_all_kept(map: &dyn IdentityMap) {
    let pairing = pairing("crowd");
    let batches: Vec<[Link; 2]> = (0..WRITERS)
        .map(|n| [Link::new(format!("a{n}"), format!("1{n}")), Link::new(format!("b{n}"), format!("2{n}"))])
        .collect();
    for put in join_all(batches.iter().map(|links| map.put(&pairing, links))).await {
        put.expect("put in a crowd");
    }
    let kept = map.scan(&pairing, None, 1_000).await.expect("scan").len() as u64;
    assert_eq!(kept, 2 * WRITERS, "links were lost in a crowd");
}

fn pairing(sync: &str) -> Pairing {
    Pairing::new(sync, Side::new("salesforce", "Lead"), Side::new("hubspot", "contacts"))
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn pairs(links: &[Link]) -> Vec<String> {
    links.iter().map(|link| format!("{} {}", link.source, link.target)).collect()
}
