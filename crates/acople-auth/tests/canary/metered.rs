//! A recorder of metrics that keeps the texts of all series.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// What was exported.
#[derive(Debug, Default)]
pub(crate) struct Metered {
    series: Mutex<BTreeMap<String, Arc<Told>>>,
    described: Mutex<String>,
}

/// How often a series was told something.
#[derive(Debug, Default)]
struct Told(AtomicUsize);

impl Metered {
    /// The names of all series with their labels, and what was said about them.
    pub(crate) fn text(&self) -> String {
        format!("{:#?}\n{}", self.series.lock().unwrap(), self.described.lock().unwrap())
    }

    /// How often something was told to series with all of these texts in their name and labels.
    pub(crate) fn told(&self, texts: &[&str]) -> usize {
        let series = self.series.lock().unwrap();
        let wanted = series.iter().filter(|(name, _)| texts.iter().all(|text| name.contains(text)));
        wanted.map(|(_, told)| told.0.load(Ordering::Relaxed)).sum()
    }

    fn series(&self, key: &Key) -> Arc<Told> {
        self.series.lock().unwrap().entry(key.to_string()).or_default().clone()
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, description: &SharedString) {
        writeln!(self.described.lock().unwrap(), "{} {unit:?} {description}", name.as_str()).unwrap();
    }
}

impl Recorder for Metered {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

impl Told {
    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl CounterFn for Told {
    fn increment(&self, _: u64) {
        self.note();
    }

    fn absolute(&self, _: u64) {
        self.note();
    }
}

impl GaugeFn for Told {
    fn increment(&self, _: f64) {
        self.note();
    }

    fn decrement(&self, _: f64) {
        self.note();
    }

    fn set(&self, _: f64) {
        self.note();
    }
}

impl HistogramFn for Told {
    fn record(&self, _: f64) {
        self.note();
    }
}
