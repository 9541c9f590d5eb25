//! Secrets that cannot be mistaken for anything else, and the search for them in whatever shape.

use std::cell::RefCell;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::Once;

use acople::Error;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Letters and digits in a row that are no accident.
const WINDOW: usize = 12;

/// One secret and the shapes in which it must not appear.
#[derive(Clone, Debug)]
pub struct Canary {
    pub text: String,
    forms: Vec<String>,
    windows: Vec<String>,
}

impl Canary {
    /// A new one: letters, digits, and the characters that encodings change.
    pub fn new() -> Self {
        let word = || std::iter::repeat_with(fastrand::alphanumeric).take(16).collect::<String>();
        Self::of(format!("{}+{}/{}=", word(), word(), word()))
    }

    /// A secret that has to have a form of its own, such as a key.
    pub fn of(text: String) -> Self {
        let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let mut forms = vec![
            text.clone(),
            form.replace('+', "%20"),
            form,
            utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string(),
            text.bytes().fold(String::new(), |all, b| format!("{all}%{b:02x}")),
            text.bytes().fold(String::new(), |all, b| format!("{all}{b:02x}")),
        ];
        // Base64 of something that holds the secret at any of the three offsets; the ends depend on the neighbours.
        for offset in 0..3 {
            let bytes = [&b"AAA"[..offset], text.as_bytes()].concat();
            for encoded in [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)] {
                forms.extend(encoded.get(offset.min(1) * 4..encoded.len() - 4).map(str::to_owned));
            }
        }
        let squashed = squash(&text);
        let windows = squashed.windows(WINDOW.min(squashed.len())).step_by(4);
        let windows = windows.map(|window| String::from_utf8(window.to_vec()).unwrap()).collect();
        let forms = forms.into_iter().map(|form| form.to_lowercase()).collect();
        Self { text, forms, windows }
    }
}

/// Letters and digits alone, so that a secret that was split or broken over lines is found.
fn squash(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).collect()
}

/// Fails when a canary, or a part of one, is in the text.
#[track_caller]
pub fn assert_clean(text: &str, canaries: &[Canary], what: &str) {
    if let Some((secret, found)) = leak(text, canaries) {
        let lower = text.to_lowercase();
        let near = lower.lines().find(|line| line.contains(&found)).unwrap_or(&lower);
        panic!("{what}: {secret} as {found} in {near}");
    }
}

/// The first secret that is in the text, and the shape in which it is there.
fn leak(text: &str, canaries: &[Canary]) -> Option<(String, String)> {
    let lower = text.to_lowercase();
    let squashed = String::from_utf8(squash(text)).unwrap();
    canaries.iter().find_map(|canary| {
        let form = canary.forms.iter().find(|form| lower.contains(*form));
        let found = form.or_else(|| canary.windows.iter().find(|window| squashed.contains(*window)))?;
        Some((canary.text.clone(), found.clone()))
    })
}

/// Every text that an error can be turned into, its causes included.
pub fn texts(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}\n{}\n", serde_json::to_string(error).unwrap());
    let mut source = error.source();
    while let Some(cause) = source {
        writeln!(text, "{cause}\n{cause:?}").unwrap();
        source = cause.source();
    }
    text
}

thread_local! {
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

static LISTEN: Once = Once::new();

/// What is logged on this thread, spans and all, down to the finest level, until it is dropped.
///
/// The process has one subscriber for all threads: `tracing` decides once whether a place in the code is of interest to
/// anybody, and a subscriber of one thread hears nothing from where another thread was first.
pub struct Log(PhantomData<*const ()>);

impl Log {
    pub fn capture() -> Self {
        LISTEN.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
                .with_ansi(false)
                .with_writer(|| Here)
                .finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
            // A place that another thread came to meanwhile is asked about again.
            tracing::callsite::rebuild_interest_cache();
        });
        LOG.set(Some(Vec::new()));
        Self(PhantomData)
    }

    /// What was logged since the last look.
    #[allow(clippy::unused_self)] // whoever listens has one
    pub fn take(&self) -> String {
        String::from_utf8(LOG.replace(Some(Vec::new())).unwrap()).unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        LOG.set(None);
    }
}

/// Writes to the log of the thread that it is called on.
struct Here;

impl Write for Here {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.iter_mut().for_each(|log| log.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_secret_is_found_in_every_shape() {
    let canary = [Canary::new()];
    let text = canary[0].text.clone();
    let hex: String = text.bytes().fold(String::new(), |all, b| format!("{all}{b:02X}"));
    let (one, two) = text.split_at(text.len() / 2);
    for leak in [
        text.clone(),
        text.to_uppercase(),
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        STANDARD.encode(format!("user:{text}")),
        URL_SAFE.encode(format!("client-1:{text}:x")),
        hex,
        format!("{one}\"}}\n  {{\"{two}"),
        text.chars().skip(3).take(27).collect(),
    ] {
        assert!(self::leak(&format!("<{leak}>"), &canary).is_some(), "{leak}");
    }
    assert_clean("nothing of it", &canary, "x");
}
