//! `connectors` and `spec`: what is known without talking to anybody.

use acople::{Error, vendor, vendors};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn list(out: &mut Out, json: bool) -> Result<Exit, Failure> {
    if json {
        let vendors: Vec<_> =
            vendors().iter().map(|v| json!({"id": v.id, "name": v.name, "summary": v.summary})).collect();
        out.pretty(&vendors)?;
    } else {
        let rows: Vec<[String; 3]> =
            vendors().iter().map(|v| [v.id, v.name, v.summary].map(str::to_owned)).collect();
        out.table(["ID", "NAME", "SUMMARY"], &rows)?;
    }
    Ok(Exit::Success)
}

pub(super) fn spec(out: &mut Out, id: &str) -> Result<Exit, Failure> {
    let Some(vendor) = vendor(id) else {
        let known: Vec<&str> = vendors().iter().map(|v| v.id).collect();
        let message = format!("there is no connector {id:?}; there are: {}", known.join(", "));
        return Err(Error::config("connector", message).into());
    };
    out.pretty(&(vendor.config_schema)())?;
    Ok(Exit::Success)
}
