use std::time::Duration;

use acople_monitor::Histogram;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn quantiles_are_off_by_a_thirty_second_at_most(
        // Evenly over the doublings: from a nanosecond to 36 minutes.
        latencies in prop::collection::vec((0_u32..41, 0.0_f64..1.0), 1..400),
        share in 0.0_f64..=1.0,
    ) {
        let mut exact: Vec<u64> = latencies.iter().map(|(bits, part)| nanos(*bits, *part)).collect();
        let histogram = Histogram::default();
        for nanos in &exact {
            histogram.record(Duration::from_nanos(*nanos));
        }
        exact.sort_unstable();
        for share in [share, 0.5, 0.95, 0.99, 1.0] {
            let rank = ((share * exact.len() as f64).ceil() as usize).max(1);
            let true_value = exact[rank - 1] as f64;
            let estimate = histogram.quantile(share).unwrap().as_nanos() as f64;
            let allowed = (true_value / 32.0).max(500.0);
            prop_assert!((estimate - true_value).abs() <= allowed, "{share}: {estimate} for {true_value}");
        }
        prop_assert_eq!(histogram.count(), exact.len() as u64);
        let sum_us: u64 = exact.iter().map(|nanos| nanos / 1000).sum();
        prop_assert_eq!(histogram.mean(), Some(Duration::from_micros(sum_us / exact.len() as u64)));
    }
}

#[test]
fn no_latency_is_too_long_and_none_at_all_has_no_quantile() {
    let histogram = Histogram::default();
    assert_eq!((histogram.quantile(0.5), histogram.mean()), (None, None));
    histogram.record(Duration::MAX);
    let longest = histogram.quantile(0.5).unwrap();
    assert!((4100..4300).contains(&longest.as_secs()), "{longest:?}");
}

fn nanos(bits: u32, part: f64) -> u64 {
    let low = 1_u64 << bits;
    low + (part * low as f64) as u64
}
