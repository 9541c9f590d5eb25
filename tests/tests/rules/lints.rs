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
                    || (word == "dangerous()" && shown.ends_with("acople-http/src/http_transport/tls.rs"));
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
