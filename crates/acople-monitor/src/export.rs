//! The numbers as metrics.
//!
//! Names and units follow OpenTelemetry's semantic conventions for HTTP clients
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>) where those have one, and begin with `acople.` where not.
//! Labels hold texts of the connectors' code alone. Error kinds are counted for each connector and not for each
//! operation, so that a connector has at most some fifteen series for each operation and fifty of its own.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use acople_core::{BreakerState, CacheUse, ErrorKind, WaitCause};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};

use crate::kind;
use crate::names::printable;
use crate::names::{Names, OTHER};
use crate::tally::{Attempt, CAUSES, STATUS_CLASSES, cause_place, status_class};

const REQUEST_DURATION: &str = "http.client.request.duration";
const REQUEST_RETRIES: &str = "acople.client.request.retries";
const REQUEST_ERRORS: &str = "acople.client.request.errors";
const BYTES_SENT: &str = "acople.client.sent";
const BYTES_RECEIVED: &str = "acople.client.received";
const CALL_DURATION: &str = "acople.client.call.duration";
const CALL_FAILURES: &str = "acople.client.call.failures";
const CALL_ERRORS: &str = "acople.client.call.errors";
const WAIT_DURATION: &str = "acople.client.wait.duration";
const BREAKERS_OPEN: &str = "acople.breaker.open";
const BREAKER_OPENINGS: &str = "acople.breaker.openings";
const CACHE_HITS: &str = "acople.cache.hits";
const CACHE_REVALIDATIONS: &str = "acople.cache.revalidations";
const CACHE_MISSES: &str = "acople.cache.misses";

const CONNECTOR: &str = "acople.connector";
const OPERATION: &str = "acople.operation";
const STATUS_CLASS: &str = "http.response.status_class";
const ERROR_TYPE: &str = "error.type";
const WAIT_CAUSE: &str = "acople.wait.cause";
const BREAKER_CLASS: &str = "acople.breaker.class";

const WAIT_CAUSES: [&str; CAUSES] = ["limit", "backoff", OTHER];

static METADATA: Metadata<'static> = Metadata::new("acople", Level::INFO, Some(module_path!()));

/// Where metrics go.
#[derive(Clone)]
pub(crate) struct Exporter(Option<Arc<dyn Recorder + Send + Sync>>);

impl Exporter {
    /// To the recorder that the host has installed.
    pub(crate) fn installed() -> Self {
        Self(None).described()
    }

    /// To one of the host's own.
    pub(crate) fn to(recorder: Arc<dyn Recorder + Send + Sync>) -> Self {
        Self(Some(recorder)).described()
    }

    /// The metrics of a connector.
    pub(crate) fn connector(&self, id: &str, classes: usize) -> ConnectorExport {
        let connector: Arc<str> = printable(id).into();
        let label = || Label::new(CONNECTOR, connector.clone());
        let waits = WAIT_CAUSES.map(|_| OnceLock::new());
        ConnectorExport {
            sent: self.counter(BYTES_SENT, vec![label()]),
            received: self.counter(BYTES_RECEIVED, vec![label()]),
            request_errors: [const { OnceLock::new() }; kind::PLACES],
            call_errors: [const { OnceLock::new() }; kind::PLACES],
            waits,
            breakers: Names::new(classes, self.breaker(&connector, OTHER)),
            exporter: self.clone(),
            connector,
        }
    }

    fn breaker(&self, connector: &Arc<str>, class: &str) -> BreakerExport {
        let labels: Vec<_> =
            vec![Label::new(CONNECTOR, connector.clone()), Label::new(BREAKER_CLASS, printable(class))];
        BreakerExport { exporter: self.clone(), labels, handles: OnceLock::new() }
    }

    fn with<T>(&self, ask: impl FnOnce(&dyn Recorder) -> T) -> T {
        match &self.0 {
            Some(recorder) => ask(&**recorder),
            None => metrics::with_recorder(|recorder| ask(recorder)),
        }
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.with(|recorder| recorder.register_counter(&Key::from_parts(name, labels), &METADATA))
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.with(|recorder| recorder.register_gauge(&Key::from_parts(name, labels), &METADATA))
    }

    fn histogram(&self, name: &'static str, labels: Vec<Label>) -> Histogram {
        self.with(|recorder| recorder.register_histogram(&Key::from_parts(name, labels), &METADATA))
    }

    fn described(self) -> Self {
        let seconds = [
            (REQUEST_DURATION, "From sending a request to the end of its answer"),
            (CALL_DURATION, "Calls, waits and retries included"),
            (WAIT_DURATION, "Waits before an attempt"),
        ];
        let counts = [
            (REQUEST_RETRIES, "Attempts after the first of their call"),
            (REQUEST_ERRORS, "Attempts that failed"),
            (CALL_FAILURES, "Calls that failed, by operation"),
            (CALL_ERRORS, "Calls that failed, by error kind"),
            (BREAKER_OPENINGS, "How often a circuit breaker opened"),
            (CACHE_HITS, "Fresh answers of a cache"),
            (CACHE_REVALIDATIONS, "Old answers of a cache that the vendor confirmed"),
            (CACHE_MISSES, "Questions to a cache that had nothing"),
        ];
        let bytes = [
            (BYTES_SENT, "Bytes of requests' bodies"),
            (BYTES_RECEIVED, "Bytes of answers' bodies, decompressed"),
        ];
        self.with(|recorder| {
            for (name, what) in seconds {
                recorder.describe_histogram(name.into(), Some(Unit::Seconds), what.into());
            }
            for (name, what) in counts {
                recorder.describe_counter(name.into(), Some(Unit::Count), what.into());
            }
            for (name, what) in bytes {
                recorder.describe_counter(name.into(), Some(Unit::Bytes), what.into());
            }
            let open = "Circuit breakers that are open";
            recorder.describe_gauge(BREAKERS_OPEN.into(), Some(Unit::Count), open.into());
        });
        self
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exporter").finish()
    }
}

/// A connector's handles. Those that may never be needed are asked for on first use, so that there are no
/// series of zeros.
pub(crate) struct ConnectorExport {
    exporter: Exporter,
    connector: Arc<str>,
    sent: Counter,
    received: Counter,
    request_errors: [OnceLock<Counter>; kind::PLACES],
    call_errors: [OnceLock<Counter>; kind::PLACES],
    waits: [OnceLock<Histogram>; CAUSES],
    breakers: Names<BreakerExport>,
}

/// An operation's handles.
pub(crate) struct OperationExport {
    operation: Arc<str>,
    requests: [OnceLock<Histogram>; STATUS_CLASSES.len()],
    retries: OnceLock<Counter>,
    calls: OnceLock<Histogram>,
    failures: OnceLock<Counter>,
    hits: OnceLock<Counter>,
    revalidations: OnceLock<Counter>,
    misses: OnceLock<Counter>,
}

struct BreakerExport {
    exporter: Exporter,
    labels: Vec<Label>,
    handles: OnceLock<(Gauge, Counter)>,
}

impl OperationExport {
    /// No handles yet.
    pub(crate) fn new(name: &str) -> Box<Self> {
        Box::new(Self {
            operation: printable(name).into(),
            requests: [const { OnceLock::new() }; STATUS_CLASSES.len()],
            retries: OnceLock::new(),
            calls: OnceLock::new(),
            failures: OnceLock::new(),
            hits: OnceLock::new(),
            revalidations: OnceLock::new(),
            misses: OnceLock::new(),
        })
    }
}

impl ConnectorExport {
    pub(crate) fn attempt(&self, operation: &OperationExport, attempt: &Attempt) {
        let class = status_class(attempt.status);
        if let (Some(handle), Some(word)) = (operation.requests.get(class), STATUS_CLASSES.get(class)) {
            let labels = || self.labels(operation, Some(Label::from_static_parts(STATUS_CLASS, word)));
            let handle = handle.get_or_init(|| self.exporter.histogram(REQUEST_DURATION, labels()));
            handle.record(attempt.took.as_secs_f64());
        }
        if attempt.number > 1 {
            self.count(&operation.retries, REQUEST_RETRIES, operation);
        }
        self.error(&self.request_errors, REQUEST_ERRORS, attempt.error);
        if attempt.sent > 0 {
            self.sent.increment(attempt.sent as u64);
        }
        if attempt.received > 0 {
            self.received.increment(attempt.received as u64);
        }
    }

    pub(crate) fn call(&self, operation: &OperationExport, error: Option<ErrorKind>, took: Duration) {
        let labels = || self.labels(operation, None);
        let handle = operation.calls.get_or_init(|| self.exporter.histogram(CALL_DURATION, labels()));
        handle.record(took.as_secs_f64());
        if error.is_some() {
            self.count(&operation.failures, CALL_FAILURES, operation);
        }
        self.error(&self.call_errors, CALL_ERRORS, error);
    }

    pub(crate) fn waited(&self, cause: WaitCause, wait: Duration) {
        let place = cause_place(cause);
        if let (Some(handle), Some(word)) = (self.waits.get(place), WAIT_CAUSES.get(place)) {
            let labels = || vec![self.label(), Label::from_static_parts(WAIT_CAUSE, word)];
            let handle = handle.get_or_init(|| self.exporter.histogram(WAIT_DURATION, labels()));
            handle.record(wait.as_secs_f64());
        }
    }

    pub(crate) fn cache(&self, operation: &OperationExport, found: CacheUse) {
        match found {
            CacheUse::Hit => self.count(&operation.hits, CACHE_HITS, operation),
            CacheUse::Revalidated => self.count(&operation.revalidations, CACHE_REVALIDATIONS, operation),
            CacheUse::Miss => self.count(&operation.misses, CACHE_MISSES, operation),
            _ => {}
        }
    }

    pub(crate) fn breaker(&self, class: &str, from: BreakerState, to: BreakerState) {
        let (was_open, is_open) = (from == BreakerState::Open, to == BreakerState::Open);
        if was_open == is_open {
            return;
        }
        let breaker = self.breakers.get(class, |_| self.exporter.breaker(&self.connector, class));
        let (open, openings) = breaker.handles.get_or_init(|| {
            let BreakerExport { exporter, labels, .. } = breaker;
            (
                exporter.gauge(BREAKERS_OPEN, labels.clone()),
                exporter.counter(BREAKER_OPENINGS, labels.clone()),
            )
        });
        if is_open {
            open.increment(1.0);
            openings.increment(1);
        } else {
            open.decrement(1.0);
        }
    }

    fn count(&self, handle: &OnceLock<Counter>, name: &'static str, operation: &OperationExport) {
        handle.get_or_init(|| self.exporter.counter(name, self.labels(operation, None))).increment(1);
    }

    fn error(&self, handles: &[OnceLock<Counter>], name: &'static str, error: Option<ErrorKind>) {
        let Some(place) = error.map(kind::place) else { return };
        let Some(handle) = handles.get(place) else { return };
        let labels = || vec![self.label(), Label::from_static_parts(ERROR_TYPE, kind::word(place))];
        handle.get_or_init(|| self.exporter.counter(name, labels())).increment(1);
    }

    fn label(&self) -> Label {
        Label::new(CONNECTOR, self.connector.clone())
    }

    fn labels(&self, operation: &OperationExport, more: Option<Label>) -> Vec<Label> {
        let operation = Label::new(OPERATION, operation.operation.clone());
        [self.label(), operation].into_iter().chain(more).collect()
    }
}
