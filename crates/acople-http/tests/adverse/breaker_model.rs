//! Breakers against a plain reference machine: random sequences of everything that can happen to one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::BreakerState::{self, Closed, HalfOpen, Open};
use acople_http::{BreakerConfig, Breakers, Ticket};

/// What RATE-13 asks for, said as plainly as possible. Times are seconds.
struct Reference {
    config: BreakerConfig,
    now: u64,
    state: BreakerState,
    /// When it opened.
    opened: u64,
    held: bool,
    /// Everything that was told since the last change: when, and whether it had failed.
    told: Vec<(u64, bool)>,
    /// Probes that are on their way.
    probes: usize,
    /// How many changes there were: a ticket from before the last one says nothing any more.
    changes: usize,
    log: Vec<BreakerState>,
}

impl Reference {
    fn new(config: BreakerConfig) -> Self {
        let (now, opened, probes, changes) = (0, 0, 0, 0);
        Self { config, now, state: Closed, opened, held: false, told: vec![], probes, changes, log: vec![] }
    }

    fn shows(&self) -> BreakerState {
        let up = Duration::from_secs(self.now - self.opened) >= self.config.open_for;
        if self.state == Open && up && !self.held { HalfOpen } else { self.state }
    }

    fn change(&mut self, to: BreakerState) {
        (self.state, self.opened, self.told, self.probes) = (to, self.now, vec![], 0);
        self.changes += 1;
        self.log.push(to);
    }

    /// The number of changes that a ticket remembers, `usize::MAX` for one that counts for nothing; or the
    /// refusal.
    fn enter(&mut self) -> Result<usize, ()> {
        if self.state != self.shows() {
            self.change(HalfOpen);
        }
        let passes = match self.state {
            Closed => true,
            Open => false,
            HalfOpen => self.probes < self.config.probes.max(1),
        };
        self.probes += usize::from(passes);
        match passes {
            true => Ok(self.changes),
            false if self.config.enforce => Err(()),
            false => Ok(usize::MAX),
        }
    }

    fn tell(&mut self, ticket: usize, failed: Option<bool>) {
        if ticket != self.changes {
            return;
        }
        self.probes -= 1;
        let Some(failed) = failed.filter(|_| !self.held) else { return };
        match self.state {
            HalfOpen => self.change(if failed { Open } else { Closed }),
            Closed => {
                self.told.push((self.now, failed));
                if failed && self.is_bad() {
                    self.change(Open);
                }
            }
            Open => {}
        }
    }

    fn is_bad(&self) -> bool {
        let young = |at: u64| Duration::from_secs(self.now - at) <= self.config.max_age;
        let last: Vec<bool> = self
            .told
            .iter()
            .rev()
            .take(self.config.window)
            .filter(|told| young(told.0))
            .map(|told| told.1)
            .collect();
        let failures = last.iter().filter(|failed| **failed).count();
        let row = last.iter().take_while(|failed| **failed).count();
        #[allow(clippy::cast_precision_loss)]
        let share = failures as f64 / last.len() as f64;
        let often = last.len() >= self.config.minimum && share >= self.config.threshold;
        often || self.config.consecutive.is_some_and(|wanted| row >= wanted)
    }

    fn force(&mut self, state: Option<BreakerState>) {
        if state.is_none() && !self.held {
            return;
        }
        let before = self.shows();
        self.held = state.is_some();
        self.change(state.unwrap_or(Closed));
        if before == self.state {
            self.log.pop();
        }
    }
}

fn config(random: &mut fastrand::Rng) -> BreakerConfig {
    let window = random.usize(1..8);
    let config = BreakerConfig::default()
        .with_window(window)
        .with_minimum(random.usize(1..=window))
        .with_threshold([0.3, 0.5, 1.0, 2.0][random.usize(..4)])
        .with_max_age(Duration::from_secs(random.u64(5..200)))
        .with_open_for(Duration::from_secs(random.u64(1..90)))
        .with_probes(random.usize(0..4))
        .with_enforce(random.u32(0..5) > 0);
    if random.bool() { config } else { config.with_consecutive(random.usize(1..5)) }
}

#[tokio::test(start_paused = true)]
async fn rate_13_a_hundred_thousand_random_sequences_agree_with_the_reference() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (mut opened, mut refused, mut closed_again) = (0, 0, 0);
    for seed in 0..100_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let config = config(&mut random);
        let (breakers, mut reference) = (Breakers::new(config), Reference::new(config));
        log.lock().unwrap().clear();
        let _watch = breakers.on_change({
            let log = log.clone();
            move |_, state| log.lock().unwrap().push(state)
        });
        let mut tickets: Vec<(Ticket<'_>, usize)> = Vec::new();
        let bad = random.u32(1..8);
        for step in 0..random.usize(5..40) {
            match random.u32(0..20) {
                0..9 => match (breakers.enter("default"), reference.enter()) {
                    (Ok(ticket), Ok(expected)) => tickets.push((ticket, expected)),
                    (Err(error), Err(())) => {
                        refused += 1;
                        assert_eq!(error.code(), Some("breaker_open"));
                        let left = config
                            .open_for
                            .saturating_sub(Duration::from_secs(reference.now - reference.opened));
                        if reference.state == Open && !reference.held {
                            assert_eq!(error.retry_after(), Some(left), "seed {seed}, step {step}");
                        }
                    }
                    (entered, expected) => panic!("seed {seed}, step {step}: {entered:?}, not {expected:?}"),
                },
                9..17 if !tickets.is_empty() => {
                    let (ticket, expected) = tickets.swap_remove(random.usize(..tickets.len()));
                    let outcome = random.u32(0..10);
                    if outcome == 9 {
                        drop(ticket);
                        reference.tell(expected, None);
                    } else {
                        // A throttle and a refusal are told as a success is: an answer of a vendor that lives.
                        ticket.tell(outcome < bad);
                        reference.tell(expected, Some(outcome < bad));
                    }
                }
                17 | 18 => {
                    let seconds = random.u64(1..100);
                    tokio::time::advance(Duration::from_secs(seconds)).await;
                    reference.now += seconds;
                }
                19 if random.bool() => {
                    let state = [None, Some(Closed), Some(Open), Some(HalfOpen)][random.usize(..4)];
                    breakers.force("default", state);
                    reference.force(state);
                }
                _ => {}
            }
            assert_eq!(breakers.state("default"), reference.shows(), "seed {seed}, step {step}");
            assert_eq!(*log.lock().unwrap(), reference.log, "seed {seed}, step {step}");
        }
        opened += usize::from(reference.log.contains(&Open));
        closed_again += usize::from(reference.log.windows(2).any(|pair| pair == [HalfOpen, Closed]));
    }
    // The sequences go where they should.
    assert!(
        opened > 40_000 && closed_again > 5_000 && refused > 100_000,
        "{opened} {closed_again} {refused}"
    );
}
