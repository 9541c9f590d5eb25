//! A recorder of metrics that keeps every series.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Every series by `name{label=value,...}`, and every name that was described.
#[derive(Debug, Default)]
pub(crate) struct Series {
    all: Mutex<BTreeMap<String, Arc<Points>>>,
    described: Mutex<BTreeMap<String, Option<Unit>>>,
    /// How often a handle was asked for.
    asked: Mutex<usize>,
}

/// What one series was told.
#[derive(Debug, Default)]
pub(crate) struct Points(Mutex<(f64, usize)>);

impl Series {
    pub(crate) fn names(&self) -> Vec<String> {
        self.all.lock().unwrap().keys().cloned().collect()
    }

    /// The sum of what a series was told, and how often it was told something.
    pub(crate) fn get(&self, name: &str) -> (f64, usize) {
        let all = self.all.lock().unwrap();
        let points = all.get(name).unwrap_or_else(|| panic!("no {name} among {:#?}", all.keys()));
        *points.0.lock().unwrap()
    }

    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    pub(crate) fn described(&self) -> BTreeMap<String, Option<Unit>> {
        self.described.lock().unwrap().clone()
    }

    fn points(&self, key: &Key) -> Arc<Points> {
        *self.asked.lock().unwrap() += 1;
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.all.lock().unwrap().entry(name).or_default().clone()
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>) {
        self.described.lock().unwrap().insert(name.as_str().to_owned(), unit);
    }
}

impl Recorder for Series {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.points(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.points(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.points(key))
    }
}

impl Points {
    fn add(&self, value: f64) {
        let mut points = self.0.lock().unwrap();
        *points = (points.0 + value, points.1 + 1);
    }
}

impl CounterFn for Points {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters are only added to");
    }
}

impl GaugeFn for Points {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, _: f64) {
        unreachable!("gauges are sums over connections");
    }
}

impl HistogramFn for Points {
    fn record(&self, value: f64) {
        self.add(value);
    }
}
