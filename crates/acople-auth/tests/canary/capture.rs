//! Everything that a thread's work tells the process: spans, events, panics.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static HEARD: RefCell<Option<Heard>> = const { RefCell::new(None) };
}

static LISTEN: Once = Once::new();

/// What was told since the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Metadata, names and values of the spans, with what was recorded later.
    pub(crate) spans: String,
    /// The same of the events.
    pub(crate) events: String,
    /// What the panic hook was given.
    pub(crate) panics: String,
    /// How many spans there were of each name.
    pub(crate) span_names: BTreeMap<&'static str, usize>,
    /// How many values were recorded in spans after they had begun.
    pub(crate) recorded: usize,
    /// How many events each module told.
    pub(crate) event_targets: BTreeMap<String, usize>,
    /// How many panics the hook saw.
    pub(crate) panicked: usize,
}

/// Listens to this thread until it is dropped. The runtimes of these tests have one thread, so that tasks are heard, too.
pub(crate) struct Capture(PhantomData<*const ()>);

impl Capture {
    pub(crate) fn begin() -> Self {
        LISTEN.call_once(|| {
            tracing::subscriber::set_global_default(Listener::default()).unwrap();
            // A place that another thread came to meanwhile is asked about again.
            tracing::callsite::rebuild_interest_cache();
            let others = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                let is_ours = note(|heard| {
                    heard.panicked += 1;
                    writeln!(heard.panics, "{info}\n{:?}", info.location()).unwrap();
                });
                if !is_ours {
                    others(info);
                }
            }));
        });
        HEARD.set(Some(Heard::default()));
        Self(PhantomData)
    }

    /// What was heard since the last look.
    #[allow(clippy::unused_self)] // whoever listens has one
    pub(crate) fn take(&self) -> Heard {
        HEARD.replace(Some(Heard::default())).unwrap()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let heard = HEARD.take();
        #[allow(clippy::print_stderr)]
        if std::thread::panicking() {
            // The panic of the test itself was heard as well, and not printed.
            eprintln!("{}", heard.unwrap_or_default().panics);
        }
    }
}

/// False when nobody listens to this thread.
fn note(tell: impl FnOnce(&mut Heard)) -> bool {
    HEARD.with(|heard| match heard.try_borrow_mut().as_deref_mut() {
        Ok(Some(heard)) => {
            tell(heard);
            true
        }
        _ => false,
    })
}

#[derive(Default)]
struct Listener(AtomicU64);

struct Values<'a>(&'a mut String);

impl Visit for Values<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0, "{} = {value:?} = {value:#?}", field.name()).unwrap();
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        writeln!(self.0, "{} = {value} = {value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        note(|heard| {
            *heard.span_names.entry(span.metadata().name()).or_default() += 1;
            writeln!(heard.spans, "{:?}", span.metadata()).unwrap();
            span.record(&mut Values(&mut heard.spans));
        });
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        note(|heard| {
            heard.recorded += 1;
            values.record(&mut Values(&mut heard.spans));
        });
    }

    fn event(&self, event: &Event<'_>) {
        note(|heard| {
            *heard.event_targets.entry(event.metadata().target().to_owned()).or_default() += 1;
            writeln!(heard.events, "{:?}", event.metadata()).unwrap();
            event.record(&mut Values(&mut heard.events));
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
