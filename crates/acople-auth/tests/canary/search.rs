//! Secrets that cannot be mistaken for anything else, and the search for them in whatever shape.

use std::any::Any;
use std::error::Error as _;
use std::fmt::Write as _;

use acople_core::Error;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Each secret is one of these, with the characters that encodings change.
pub(crate) const CANARY: &str = "c4nary+s3cret/0123=";
pub(crate) const OTHER: &str = "c4nary-oth3r-4567&x";

/// Letters and digits in a row that are no accident.
const WINDOW: usize = 12;

/// Secrets in all the shapes in which they must not appear.
#[derive(Clone, Debug)]
pub(crate) struct Canaries {
    forms: Vec<String>,
    windows: Vec<String>,
}

impl Canaries {
    /// The two fixed ones and, say, the lines of keys.
    pub(crate) fn with<'a>(more: impl IntoIterator<Item = &'a str>) -> Self {
        let mut canaries = Self { forms: vec!["c4nary".to_owned()], windows: Vec::new() };
        [CANARY, OTHER].into_iter().chain(more).for_each(|secret| canaries.add(secret));
        canaries
    }

    /// Looks for one more.
    pub(crate) fn add(&mut self, secret: &str) {
        assert!(secret.len() >= WINDOW, "{secret} is too short to be told from chance");
        self.forms.extend(forms(secret).into_iter().map(|form| form.to_lowercase()));
        let squashed = squash(secret);
        self.windows.extend(
            squashed
                .as_bytes()
                .windows(WINDOW)
                .step_by(4)
                .map(|part| String::from_utf8(part.to_vec()).unwrap()),
        );
    }

    /// The shape in which a secret, or a part of one, is in the text.
    pub(crate) fn find(&self, text: &str) -> Option<&str> {
        let (lower, squashed) = (text.to_lowercase(), squash(text));
        let form = self.forms.iter().find(|form| lower.contains(*form));
        form.or_else(|| self.windows.iter().find(|window| squashed.contains(*window))).map(String::as_str)
    }

    /// Fails with the names of all the texts that hold a secret.
    #[track_caller]
    pub(crate) fn assert_none(&self, what: &str, texts: &[(&str, &str)]) {
        let leaks: Vec<String> = texts
            .iter()
            .filter_map(|(name, text)| {
                let form = self.find(text)?;
                let near = text.lines().find(|line| self.find(line).is_some()).unwrap_or(text);
                Some(format!("{name}: {form} in {near}"))
            })
            .collect();
        assert!(leaks.is_empty(), "{what}: {leaks:#?}");
    }
}

fn forms(secret: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let decimal = format!("{:?}", secret.as_bytes());
    let mut forms = vec![
        secret.to_owned(),
        form.replace('+', "%20"),
        form,
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        secret.bytes().fold(String::new(), |all, b| format!("{all}%{b:02x}")),
        secret.bytes().fold(String::new(), |all, b| format!("{all}{b:02x}")),
        // Bytes that nobody made a text of.
        decimal.trim_matches(['[', ']']).to_owned(),
    ];
    // Base64 of something that holds the secret at any of the three offsets; the ends depend on the neighbours.
    for offset in 0..3 {
        let bytes = [&b"AAA"[..offset], secret.as_bytes()].concat();
        for encoded in [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)] {
            forms.extend(encoded.get(offset.min(1) * 4..encoded.len() - 4).map(str::to_owned));
        }
    }
    forms
}

/// Letters and digits alone, so that a secret that was split or broken over lines is found.
fn squash(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Every text that an error can be turned into, its causes included.
pub(crate) fn texts(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}\n{}\n", serde_json::to_string(error).unwrap());
    let mut source = error.source();
    while let Some(cause) = source {
        writeln!(text, "{cause}\n{cause:?}").unwrap();
        source = cause.source();
    }
    text
}

/// What a panic says.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap()
}

#[test]
fn a_secret_is_found_in_every_shape() {
    let canaries = Canaries { forms: Vec::new(), windows: Vec::new() };
    for secret in [CANARY, OTHER] {
        let mut canaries = canaries.clone();
        canaries.add(secret);
        let hex: String = secret.bytes().fold(String::new(), |all, b| format!("{all}{b:02X}"));
        let (one, two) = secret.split_at(secret.len() / 2);
        for leak in [
            secret.to_owned(),
            secret.to_uppercase(),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            STANDARD.encode(secret),
            STANDARD.encode(format!("u:{secret}")),
            URL_SAFE.encode(format!("user:{secret}:x")),
            format!("{:?}", secret.as_bytes()),
            format!("{one}\"}}\n  {{\"{two}"),
            secret.chars().take(18).collect(),
            hex,
        ] {
            assert!(canaries.find(&format!("<{leak}>")).is_some(), "{leak}");
        }
        assert_eq!(canaries.find("nothing of it"), None);
    }
}
