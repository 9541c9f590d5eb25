//! The lints are on, in every crate, the examples and the programs of the tests included.

use crate::sources::{files, library_sources, read};

/// The lines of one section of a manifest.
fn section<'a>(manifest: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = manifest.lines().skip_while(|line| line.trim() != name);
    lines.next();
    lines.take_while(|line| !line.starts_with('[')).map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Whether a section sets a lint, at least as a warning, which `.ci/run` makes an error.
fn sets(section: &[&str], lint: &str) -> bool {
    section.iter().any(|line| {
        line.split_once('=').is_some_and(|(name, level)| {
            name.trim() == lint
                && ["\"warn\"", "\"deny\"", "\"forbid\""].iter().any(|word| level.contains(word))
        })
    })
}

#[test]
fn sec_13_every_crate_forbids_unsafe_code_and_panics_on_input() {
    let workspace = read("Cargo.toml");
    assert!(section(&workspace, "[workspace.lints.rust]").contains(&"unsafe_code = \"forbid\""));
    let clippy = section(&workspace, "[workspace.lints.clippy]");
    for lint in [
        "unwrap_used",
        "expect_used",
        "indexing_slicing",
        "string_slice",
        "panic",
        "todo",
        "unimplemented",
        "pedantic",
    ] {
        assert!(sets(&clippy, lint), "{lint} is not on");
    }
    let run = read(".ci/run");
    assert!(
        run.contains("cargo clippy --workspace --all-targets -- -D warnings"),
        "the lints are errors in CI"
    );
    let mut members = 0;
    for folder in ["crates", "examples", "tests", "bench", "fuzz"] {
        for (path, manifest) in files(folder, "Cargo.toml") {
            let own = sets(&section(&manifest, "[lints.rust]"), "unsafe_code");
            let shared = section(&manifest, "[lints]").contains(&"workspace = true");
            assert!(own || shared, "{} has not the lints", path.display());
            members += usize::from(shared);
        }
    }
    assert!(members >= 14, "{members} crates share the lints");
}

#[test]
fn sec_13_no_library_source_lifts_the_lints_for_itself() {
    // A suite that reports by panicking and the sandboxes, both for tests.
    let excepted = ["acople-testkit"];
    for (path, text) in library_sources() {
        let shown = path.display().to_string();
        assert!(!text.contains("unsafe {") && !text.contains("unsafe fn"), "{shown}");
        if excepted.iter().any(|name| shown.contains(name)) {
            continue;
        }
        for lint in [
            "unwrap_used",
            "expect_used",
            "indexing_slicing",
            "string_slice",
            "clippy::panic",
            "cast_possible",
            "cast_sign",
        ] {
            let lifted = text
                .lines()
                .find(|line| line.contains("allow(") && line.contains(lint) && !line.contains("cfg"))
                // A float has no other way to an integer: beside it stands why nothing is lost.
                .filter(|line| !(lint.starts_with("cast_") && line.contains("// ")));
            assert_eq!(lifted, None, "{shown} lifts {lint}");
        }
    }
}

/// Where bytes of vendors are taken apart. A `mod.rs` or `lib.rs` speaks for the modules below it.
const PARSERS: &[&str] = &[
    "acople-auth/src/answer.rs",
    "acople-auth/src/callback.rs",
    "acople-auth/src/id_token.rs",
    "acople-auth/src/lifetime.rs",
    "acople-auth/src/pem.rs",
    "acople-auth/src/percent.rs",
    "acople-auth/src/raw_json.rs",
    "acople-auth/src/timestamp.rs",
    "acople-core/src/batch.rs",
    "acople-core/src/csv/mod.rs",
    "acople-core/src/json/mod.rs",
    "acople-core/src/printable.rs",
    "acople-http/src/answer.rs",
    "acople-http/src/body.rs",
    "acople-http/src/charset.rs",
    "acople-http/src/event_parser.rs",
    "acople-http/src/graphql.rs",
    "acople-http/src/limiting/midnight.rs",
    "acople-http/src/limiting/rate_limit.rs",
    "acople-http/src/limiting/reset.rs",
    "acople-http/src/limiting/retry_after.rs",
    "acople-http/src/limiting/structured.rs",
    "acople-http/src/limiting/usage.rs",
    "acople-http/src/limiting/x_rate_limit.rs",
    "acople-http/src/lines.rs",
    "acople-http/src/link.rs",
    "acople-http/src/pages.rs",
    "acople-http/src/paging.rs",
    "acople-http/src/reading.rs",
    "acople-http/src/resumable.rs",
    "acople-http/src/server_events.rs",
    "acople-map/src/constant.rs",
    "acople-map/src/convert.rs",
    "acople-map/src/datetime.rs",
    "acople-map/src/number.rs",
    "acople-odata/src/lib.rs",
];

#[test]
fn sec_13_modules_that_parse_have_no_unchecked_arithmetic() {
    let denied = "#![deny(clippy::arithmetic_side_effects)]";
    for parser in PARSERS {
        let text = read(format!("crates/{parser}"));
        // Before the first item, and in no comment: the compiler would not take it elsewhere.
        assert!(text.lines().any(|line| line == denied), "{parser} does not deny unchecked arithmetic");
    }
    // The tests of those modules included: nothing weakens or lifts the lint anywhere, or all lints of its group.
    for (path, text) in files("crates", ".rs") {
        let weakened = text.lines().find(|line| {
            (line.contains("arithmetic_side_effects") && *line != denied)
                || line.contains("clippy::restriction")
                || line.contains("integer_arithmetic")
        });
        assert_eq!(weakened, None, "{}", path.display());
    }
    for manifest in ["Cargo.toml", "clippy.toml"] {
        assert!(!read(manifest).contains("arithmetic"), "{manifest} weakens the lint");
    }
}

#[test]
fn sec_15_examples_and_test_programs_keep_tls_checks_on_and_print_no_secret() {
    let mut seen = 0;
    for folder in ["examples", "tests/src", "bench/src", "crates"] {
        for (path, text) in files(folder, ".rs") {
            let shown = path.display().to_string();
            seen += 1;
            for word in ["danger_accept", "accept_invalid", "tls_danger", "dangerous()", "InsecureSkipVerify"]
            {
                // The testkit may make a client that trusts the certificates of its own servers; the transport names
                // the system's verifier, and its test looks closer at that.
                let excepted = shown.contains("acople-testkit")
                    || shown.ends_with("tests/transport/tls.rs")
                    || (word == "dangerous()"
                        && ["acople-http/src/http_transport/tls.rs", "acople-store-postgres/src/tls.rs"]
                            .iter()
                            .any(|file| shown.ends_with(file)));
                assert!(!text.contains(word) || excepted, "{shown} has {word}");
            }
            if shown.contains("/tests/") {
                continue;
            }
            let printed = text.lines().find(|line| {
                ["println!", "print!(", "eprintln!", "format!", "tracing::"]
                    .iter()
                    .any(|word| line.contains(word))
                    && line.contains(".expose()")
                    && !line.contains("\"Bearer ")
            });
            assert!(
                printed.is_none() || !shown.contains("/examples/"),
                "{shown} prints a secret: {printed:?}"
            );
        }
    }
    assert!(seen > 100, "{seen} sources");
}
