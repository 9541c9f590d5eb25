//! What a host sees that lends a monitor and an observer of tokens: signals, events of tokens, metrics, snapshots.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use acople_auth::{TokenEvent, TokenEvents, TokenObserver};
use acople_core::{ConnectionKey, Monitor, Recorder, Resources, Signal, Watched};
use acople_monitor::Collector;

use crate::metered::Metered;

/// A host's eyes.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) metered: Arc<Metered>,
    collector: Collector,
    signals: Arc<Mutex<String>>,
}

#[derive(Debug)]
struct Both(Arc<dyn Recorder>, Host);

impl Host {
    pub(crate) fn new() -> Self {
        let metered = Arc::new(Metered::default());
        let collector = Collector::builder().export_to(metered.clone()).build().unwrap();
        Self { metered, collector, signals: Arc::default() }
    }

    /// The resources with everything that the host watches by.
    pub(crate) fn watching(&self, resources: Resources) -> Resources {
        resources
            .with_tenant("acme")
            .with_connection("main")
            .with_monitor(Arc::new(self.clone()))
            .with_extension(TokenEvents(Arc::new(self.clone())))
    }

    /// Signals and events of tokens since the last look.
    pub(crate) fn take_signals(&self) -> String {
        std::mem::take(&mut *self.signals.lock().unwrap())
    }

    /// Everything that is shown on a dashboard.
    pub(crate) fn snapshot(&self) -> String {
        let (snapshot, health) = (self.collector.snapshot(), self.collector.health());
        format!(
            "{}\n{}\n{snapshot:?}\n{health:?}\n{:?}",
            serde_json::to_string(&snapshot).unwrap(),
            serde_json::to_string(&health).unwrap(),
            self.collector
        )
    }

    fn note(&self, text: &str) {
        writeln!(self.signals.lock().unwrap(), "{text}").unwrap();
    }
}

impl Monitor for Host {
    fn watch(&self, watched: &Watched) -> Arc<dyn Recorder> {
        self.note(&format!("{watched:?} {:?}", watched.key()));
        Arc::new(Both(self.collector.watch(watched), self.clone()))
    }
}

impl Recorder for Both {
    fn record(&self, signal: &Signal<'_>) {
        self.1.note(&format!("{signal:?}"));
        self.0.record(signal);
    }
}

impl TokenObserver for Host {
    fn event(&self, connection: &ConnectionKey, event: &TokenEvent<'_>) {
        self.note(&format!("{connection:?} {event:?} {event:#?}"));
    }
}
