//! Many tenants over few slots.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{Clock, Context, Result};
use acople_schedule::{Entry, Next, Schedule, Scheduler, Task};
use async_trait::async_trait;

use super::fixture::{Together, at, builder, run_for};

/// Notes the delay of each run by tenant.
#[derive(Debug)]
struct Delays {
    clock: Arc<Together>,
    takes: Duration,
    due: f64,
    seen: Mutex<BTreeMap<String, Vec<f64>>>,
}

#[async_trait]
impl Task for Delays {
    async fn run(&self, cx: &Context) -> Result<Next> {
        let delay = at(self.clock.now()) - self.due;
        self.seen.lock().unwrap().entry(cx.tenant().unwrap().to_owned()).or_default().push(delay);
        tokio::time::sleep(self.takes).await;
        Ok(Next::Never)
    }
}

/// The delays of all but the hot tenant, in order; 10,000 tenants whose work is due at once.
async fn delays(hot: usize) -> Vec<f64> {
    let clock = Together::new();
    let scheduler = builder(&clock).slots(50).per_tenant(4).build();
    let work = Arc::new(Delays {
        clock: clock.clone(),
        takes: Duration::from_secs(1),
        due: 900.0,
        seen: Mutex::default(),
    });
    // The hot one comes first: by age alone it would be served first.
    for n in 0..hot {
        let entry = Entry::new(format!("stream {n}"), Schedule::default(), work.clone()).tenant("hot");
        scheduler.add(entry).await.unwrap();
    }
    for n in 0..10_000 {
        let entry = Entry::new("contacts", Schedule::default(), work.clone()).tenant(format!("tenant {n}"));
        scheduler.add(entry).await.unwrap();
    }
    run_for(&scheduler, 900 + 1000).await;
    let seen = work.seen.lock().unwrap();
    assert_eq!(seen.len(), 10_000 + usize::from(hot > 0), "everybody was served");
    let mut delays: Vec<_> =
        seen.iter().filter(|(tenant, _)| *tenant != "hot").flat_map(|(_, delays)| delays.clone()).collect();
    delays.sort_by(f64::total_cmp);
    delays
}

#[tokio::test(start_paused = true)]
async fn dist_08_a_tenant_with_a_hundred_times_the_work_does_not_hold_up_the_others() {
    let (alone, beside) = (delays(0).await, delays(1_000).await);
    assert_eq!((alone.len(), beside.len()), (10_000, 10_000));
    for place in [5_000, 9_000, 9_900, 9_999] {
        let (alone, beside) = (alone[place], beside[place]);
        assert!(beside <= 2.0 * alone, "{beside} s instead of {alone} s");
    }
}

#[tokio::test(start_paused = true)]
async fn dist_08_one_tenant_runs_no_more_than_its_cap_at_once() {
    #[derive(Debug, Default)]
    struct Counts {
        now: Mutex<(usize, usize)>,
    }
    #[async_trait]
    impl Task for Counts {
        async fn run(&self, _: &Context) -> Result<Next> {
            {
                let mut now = self.now.lock().unwrap();
                now.0 += 1;
                now.1 = now.1.max(now.0);
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
            self.now.lock().unwrap().0 -= 1;
            Ok(Next::AsScheduled)
        }
    }
    let clock = Together::new();
    let scheduler = builder(&clock).slots(50).per_tenant(3).build();
    let work = Arc::new(Counts::default());
    for n in 0..40 {
        scheduler
            .add(Entry::new(format!("{n}"), Schedule::default(), work.clone()).tenant("hot"))
            .await
            .unwrap();
    }
    run_for(&scheduler, 1000).await;
    assert_eq!(work.now.lock().unwrap().1, 3);
}

#[tokio::test(start_paused = true)]
async fn free_slots_are_shared_by_weight() {
    let clock = Together::new();
    let scheduler: Scheduler =
        builder(&clock).slots(4).per_tenant(4).weight(|tenant| if tenant == "gold" { 3 } else { 1 }).build();
    let work = Arc::new(Delays {
        clock: clock.clone(),
        takes: Duration::from_secs(10),
        due: 0.0,
        seen: Mutex::default(),
    });
    for n in 0..400 {
        for tenant in ["gold", "tin"] {
            let entry = Entry::new(format!("{n}"), Schedule::default(), work.clone());
            scheduler.add(entry.tenant(tenant).at_once()).await.unwrap();
        }
    }
    run_for(&scheduler, 800).await;
    let seen = work.seen.lock().unwrap();
    let (gold, tin) = (seen["gold"].len(), seen["tin"].len());
    assert!((230..=250).contains(&gold) && (70..=90).contains(&tin), "{gold} and {tin}");
}
