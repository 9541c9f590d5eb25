//! A recorder of metrics that keeps the names of all series.

use std::collections::BTreeSet;
use std::sync::Mutex;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Every series as `name{label=value,...}`, and what was said about the names.
#[derive(Debug, Default)]
pub struct Metered(Mutex<BTreeSet<String>>);

impl Metered {
    pub fn text(&self) -> String {
        let all = self.0.lock().unwrap();
        all.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn series(&self, key: &Key) {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        self.0.lock().unwrap().insert(format!("{}{{{}}}", key.name(), labels.join(",")));
    }

    fn describe(&self, name: &KeyName, description: &SharedString) {
        self.0.lock().unwrap().insert(format!("{}: {description}", name.as_str()));
    }
}

impl Recorder for Metered {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, &description);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, &description);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.series(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.series(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.series(key);
        Histogram::noop()
    }
}
