//! What must not be built from texts: queries of GraphQL, and regular expressions that run for ever.

use crate::sources::{library_sources, read};

/// Engines that go back in the text, and so may take exponential time.
const BACKTRACKING: [&str; 8] =
    ["fancy-regex", "fancy_regex", "pcre", "pcre2", "pcre2-sys", "onig", "onig_sys", "oniguruma"];

#[test]
fn url_10_no_regular_expression_can_take_exponential_time() {
    for lock in ["Cargo.lock", "bench/Cargo.lock"] {
        let text = read(lock);
        let names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
        assert!(names.len() > 50, "{lock} was not read");
        for engine in names.iter().filter(|name| BACKTRACKING.contains(*name)) {
            // jsonschema brings one and is told not to use it.
            assert_eq!(users(&text, engine), ["jsonschema"], "{lock}: {engine}");
        }
    }
    let mut validators = 0;
    for (path, text) in library_sources() {
        if text.contains("jsonschema::") {
            validators += 1;
            assert!(text.contains("PatternOptions::regex()"), "{} leaves patterns to it", path.display());
        }
    }
    assert_eq!(validators, 1);
}

/// The packages of a lock file that depend on one.
fn users<'a>(lock: &'a str, package: &str) -> Vec<&'a str> {
    let entry = format!("\n \"{package}\",");
    let named =
        |block: &'a str| block.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    lock.split("[[package]]").filter(|block| block.contains(&entry)).filter_map(named).collect()
}

#[test]
fn url_10_an_expression_of_a_config_has_a_size_limit() {
    for (path, text) in library_sources() {
        let limited = text.contains(".size_limit(");
        let unlimited = text.contains("Regex::new(") || (text.contains("RegexBuilder") && !limited);
        assert!(!unlimited, "{} builds an expression without a limit to its size", path.display());
    }
}

/// The first place where a GraphQL text is put together from pieces.
fn built_query(source: &str) -> Option<&str> {
    source.lines().find(|line| {
        let pieces = ["push_str(", "concat!("].iter().any(|word| line.contains(word));
        let formatted = ["format!(", "write!("].iter().any(|word| line.contains(word));
        let text = line.split('"').nth(1).unwrap_or_default().trim_start();
        let begins = ["query", "mutation", "subscription"]
            .iter()
            .any(|word| text.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', '(', '{'])));
        // What is a brace of the text itself is doubled where a text is formatted.
        begins && ((pieces && text.contains('{')) || (formatted && text.contains("{{")))
    })
}

#[test]
fn url_08_the_text_of_a_graphql_query_is_static() {
    let mut helpers = 0;
    for (path, text) in library_sources() {
        let shown = path.display().to_string();
        assert_eq!(built_query(&text), None, "{shown}");
        let is_helper = path.file_name().is_some_and(|name| name == "graphql.rs");
        if is_helper && !shown.contains("acople-testkit") {
            helpers += 1;
            let constructors: Vec<&str> = text
                .lines()
                .filter(|line| line.contains("pub ") && line.contains("fn ") && line.contains("text:"))
                .collect();
            assert!(!constructors.is_empty(), "{shown}: nothing takes the text of a query");
            for line in constructors {
                assert!(line.contains("text: &'static str"), "{shown}: {line}");
            }
        }
    }
    // One helper, or none as long as no vendor speaks GraphQL.
    assert!(helpers <= 1, "{helpers} helpers");
}

#[test]
fn a_query_that_is_put_together_is_found() {
    let line = |builds: &str, text: &str| format!("    let q = {builds}\"{text}\");");
    for bad in [line("format!(", "query {{ user(id: {id}) }}"), line("s.push_str(", "mutation($a: X) { b }")]
    {
        assert!(built_query(&bad).is_some(), "{bad}");
    }
    for good in [
        line("format!(", "query failed: {error}"),
        line("GraphQl::query(", "query { me { id } }"),
        line("format!(", "queryAll/{id}"),
    ] {
        assert!(built_query(&good).is_none(), "{good}");
    }
}
