//! `invoke`: calls an action by name.

use std::path::Path;

use acople::{ActionCall, Context, Error};
use serde_json::Value as Json;

use crate::args::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use crate::{connection, documents};

pub(super) async fn invoke(
    action: &str,
    connection: &Connection,
    input: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    if input == documents::STDIN && connection.config.as_deref() == Some(Path::new(documents::STDIN)) {
        return Err(Error::config("--input", "standard input holds the config already").into());
    }
    let connector = connection::open(connection).await?;
    let actions = &connector.info().actions;
    if !actions.iter().any(|known| known.name == action) {
        let known: Vec<&str> = actions.iter().map(|known| &*known.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = format!("{} has no action {action:?}; it has: {known}", connector.info().id);
        return Err(Error::config("action", message).into());
    }
    let output = connector.invoke(&Context::new(), ActionCall::new(action, parse(input)?)).await?;
    out.pretty(&output)?;
    Ok(Exit::Success)
}

fn parse(input: &str) -> Result<Json, Error> {
    if let Some(path) = input.strip_prefix('@') {
        return documents::load(Path::new(path), "--input");
    }
    let text = if input == documents::STDIN {
        documents::text(Path::new(input), "--input")?
    } else {
        input.to_owned()
    };
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::config("--input", format!("not valid JSON at line {line}, column {column}"))
    })
}
