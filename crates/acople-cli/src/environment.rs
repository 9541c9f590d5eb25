//! References to environment variables in configs, and the one place that reads the environment.

use std::env::VarError;

use acople::{Error, ErrorKind, Result};
use serde_json::Value as Json;

/// The value of a variable.
///
/// # Errors
/// `Config`, naming the field that asks for it and the variable.
pub(crate) fn variable(name: &str, field: &str) -> Result<String> {
    read(name).map_err(|error| Problem::from_env(name, &error).at(field))
}

/// Replaces `${NAME}` in every text of a config by the variable's value; `$${` stands for `${`.
///
/// # Errors
/// `Config`, naming all fields and variables that are wrong, never a value.
pub(crate) fn resolve(config: &mut Json) -> Result<()> {
    resolve_with(config, &lookup)
}

fn resolve_with(config: &mut Json, lookup: Lookup<'_>) -> Result<()> {
    let mut wrong = Vec::new();
    walk(config, "", lookup, &mut wrong);
    if wrong.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = wrong.iter().map(|(_, problem)| problem.0.as_str()).collect();
    let error = Error::new(ErrorKind::Config, texts.join("; "));
    Err(wrong.into_iter().fold(error, |error, (field, _)| error.with_field(field)))
}

#[allow(clippy::disallowed_methods, reason = "the command is the host: configs may refer to its environment")]
fn read(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

fn lookup(name: &str) -> Result<String, Problem> {
    read(name).map_err(|error| Problem::from_env(name, &error))
}

#[derive(Debug, PartialEq)]
struct Problem(String);

impl Problem {
    fn from_env(name: &str, error: &VarError) -> Self {
        match error {
            VarError::NotPresent => Self(format!("the environment variable {name} is not set")),
            VarError::NotUnicode(_) => Self(format!("the environment variable {name} is not valid Unicode")),
        }
    }

    fn at(self, field: &str) -> Error {
        Error::config(field, self.0)
    }
}

type Lookup<'a> = &'a dyn Fn(&str) -> Result<String, Problem>;

fn walk(value: &mut Json, path: &str, lookup: Lookup<'_>, wrong: &mut Vec<(String, Problem)>) {
    match value {
        Json::String(text) if text.contains("${") => match expand(text, lookup) {
            Ok(expanded) => *text = expanded,
            Err(problem) => wrong.push((path.to_owned(), problem)),
        },
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, &format!("{path}[{index}]"), lookup, wrong);
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(member, &path, lookup, wrong);
            }
        }
        _ => {}
    }
}

fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        // What stands there instead of a name may be half a secret: it is not repeated.
        let Some((name, after)) = after.split_once('}') else {
            return Err(Problem("`${` without `}`; write `$${` for the characters themselves".to_owned()));
        };
        if !is_name(name) {
            return Err(Problem(
                "`${...}` holds no name of a variable; write `$${` for the characters themselves".to_owned(),
            ));
        }
        out.push_str(&lookup(name)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(name: &str) -> Result<String, Problem> {
        match name {
            "TOKEN" => Ok("t0k${TOKEN}".to_owned()),
            _ => Err(Problem::from_env(name, &VarError::NotPresent)),
        }
    }

    #[test]
    fn a_reference_may_be_the_whole_text_or_a_part_of_it_and_values_are_not_looked_into() {
        let mut config = json!({"auth": {"token": "${TOKEN}"}, "list": ["a-${TOKEN}-${TOKEN}", 7, null]});
        resolve_with(&mut config, &known).unwrap();
        let value = "t0k${TOKEN}";
        assert_eq!(
            config,
            json!({"auth": {"token": value}, "list": [format!("a-{value}-{value}"), 7, null]})
        );
    }

    #[test]
    fn two_dollars_stand_for_the_characters_themselves() {
        assert_eq!(expand("$${TOKEN} $5 $$ {x}", &known).unwrap(), "${TOKEN} $5 $$ {x}");
    }

    #[test]
    fn a_missing_variable_names_the_field_and_itself() {
        let mut config = json!({"auth": {"keys": ["x", "${NO_SUCH}"]}});
        let error = resolve_with(&mut config, &known).unwrap_err();
        assert_eq!(error.fields(), ["auth.keys[1]"]);
        assert_eq!(error.message(), "the environment variable NO_SUCH is not set");
    }

    #[test]
    fn host_06_all_missing_variables_are_named_at_once() {
        let mut config = json!({"auth": {"id": "${NO_ID}", "key": "${NO_KEY}", "token": "${TOKEN}"}});
        let error = resolve_with(&mut config, &known).unwrap_err();
        assert_eq!(error.fields(), ["auth.id", "auth.key"]);
        assert!(error.message().contains("NO_ID") && error.message().contains("NO_KEY"), "{error}");
    }

    #[test]
    fn what_is_no_reference_is_refused_without_being_repeated() {
        for text in ["pass${word", "${pass word}", "${}", "${1PASS}"] {
            let problem = expand(text, &known).unwrap_err();
            assert!(!problem.0.contains("word") && !problem.0.contains("PASS"), "{problem:?}");
        }
    }
}
