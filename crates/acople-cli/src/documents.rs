//! Reading configs and other documents: YAML, or JSON by its file's name.

use std::io::{self, Read};
use std::path::Path;

use acople::{Error, Result};
use serde_json::Value as Json;

/// Standard input, as a path.
pub(crate) const STDIN: &str = "-";

/// The document in a file, or on standard input for `-`. `field` is named by errors.
///
/// # Errors
/// `Config` when the file cannot be read or is not what its name says. The text is never quoted.
pub(crate) fn load(path: &Path, field: &str) -> Result<Json> {
    parse(&text(path, field)?, path, field)
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn text(path: &Path, field: &str) -> Result<String> {
    let text = if path == Path::new(STDIN) {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|error| Error::config(field, format!("{} cannot be read: {error}", path.display())))
}

fn parse(text: &str, path: &Path, field: &str) -> Result<Json> {
    let wrong = |what: String| Error::config(field, format!("{} is {what}", path.display()));
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
        return serde_json::from_str(text).map_err(|error| {
            wrong(format!("not valid JSON at line {}, column {}", error.line(), error.column()))
        });
    }
    let mut options = serde_saphyr::Options::default();
    // `no` and `on` are texts, as YAML 1.2 has it.
    options.strict_booleans = true;
    // Excerpts of a config may hold its secrets.
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let what = match &error {
            serde_saphyr::Error::DuplicateMappingKey { .. } => "not valid YAML: a name occurs twice",
            serde_saphyr::Error::UnknownAnchor { .. } => "not valid YAML: an alias has no anchor",
            _ => "not valid YAML",
        };
        match error.location() {
            Some(place) => wrong(format!("{what} at line {}, column {}", place.line(), place.column())),
            None => wrong(what.to_owned()),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn yaml(text: &str) -> Result<Json> {
        parse(text, Path::new("config.yaml"), "config")
    }

    #[test]
    fn yaml_keeps_texts_that_older_yaml_took_for_truth_values() {
        assert_eq!(
            yaml("a: no\nb: ${TOKEN}\nc: 2026-03\nd: true").unwrap(),
            json!({"a": "no", "b": "${TOKEN}", "c": "2026-03", "d": true})
        );
    }

    #[test]
    fn aliases_repeat_what_was_said() {
        let config = yaml("a: &x {n: 1}\nb: *x").unwrap();
        assert_eq!(config, json!({"a": {"n": 1}, "b": {"n": 1}}));
    }

    #[test]
    fn broken_documents_name_the_place_and_quote_nothing() {
        for (text, name) in [
            ("token: hunter2\ntoken: hunter3", "c.yaml"),
            ("token: [hunter2", "c.yaml"),
            ("token: \"hunter2", "c.yaml"),
            ("hunter2: a: b", "c.yaml"),
            ("{\"token\": hunter2}", "c.json"),
        ] {
            let error = parse(text, Path::new(name), "config").unwrap_err();
            assert!(error.message().contains("line"), "{error}");
            assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
        }
    }
}
