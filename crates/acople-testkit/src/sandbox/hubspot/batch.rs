//! Up to 100 inputs in a call, and the 207 that tells which of them failed.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Record,
        call::{Answer, Call},
        people::Random,
        stats::Tally,
    },
    errors::Refusal,
    objects::{json, written_names},
    portal::Portal,
    render::{shown, write_object},
    stamp,
};

const MAX_INPUTS: usize = 100;

/// One input of a batch.
struct Input {
    id: Option<String>,
    id_property: Option<String>,
    trace: Option<String>,
    properties: Record,
}

/// A record that a batch wrote or found.
struct Found {
    id: u64,
    names: Vec<String>,
    trace: Option<String>,
    new: Option<bool>,
}

/// `POST /{type}/batch/create`
pub(crate) fn create(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    portal.known_shelf(kind)?;
    let inputs = inputs(&mut json(call)?)?;
    let traces: HashSet<&String> = inputs.iter().filter_map(|input| input.trace.as_ref()).collect();
    let traced = inputs.iter().filter(|input| input.trace.is_some()).count();
    if traces.len() < traced {
        return Err(Refusal::validation("objectWriteTraceId must be unique within a batch"));
    }
    // Without a trace for each input the batch is one unit: a bad input refuses all of them.
    let each_for_itself = traced == inputs.len();
    let at_ms = portal.clock.tick();
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for input in &inputs {
        match portal.create(kind, &input.properties, at_ms) {
            Ok(id) => found.push(Found {
                id,
                names: written_names(portal, kind, &input.properties),
                trace: input.trace.clone(),
                new: None,
            }),
            Err(refusal) if each_for_itself => errors.push(refusal.in_batch(context(input))),
            Err(refusal) => {
                for Found { id, .. } in found {
                    portal.forget(kind, id);
                }
                tally.refused += inputs.len() as u64;
                return Err(refusal);
            }
        }
    }
    tally.created += found.len() as u64;
    tally.refused += errors.len() as u64;
    finish(portal, kind, found, errors, StatusCode::CREATED)
}

/// `POST /{type}/batch/update`
pub(crate) fn update(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    portal.known_shelf(kind)?;
    let inputs = inputs(&mut json(call)?)?;
    check_named(portal, kind, &inputs)?;
    let at_ms = portal.clock.tick();
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for input in &inputs {
        let id = portal.known_shelf(kind)?.named(input.id(), input.id_property.as_deref());
        let outcome =
            id.ok_or_else(Refusal::missing).and_then(|id| portal.update(kind, id, &input.properties, at_ms));
        match outcome {
            Ok(id) => found.push(Found {
                id,
                names: written_names(portal, kind, &input.properties),
                trace: input.trace.clone(),
                new: None,
            }),
            Err(refusal) => errors.push(refusal.in_batch(context(input))),
        }
    }
    tally.updated += found.len() as u64;
    tally.refused += errors.len() as u64;
    finish(portal, kind, found, errors, StatusCode::OK)
}

/// `POST /{type}/batch/upsert`
pub(crate) fn upsert(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    portal.known_shelf(kind)?;
    let inputs = inputs(&mut json(call)?)?;
    check_named(portal, kind, &inputs)?;
    let at_ms = portal.clock.tick();
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for input in &inputs {
        let by = input.id_property.as_deref();
        let id = portal.known_shelf(kind)?.named(input.id(), by);
        let new = id.is_none();
        let outcome = match (id, by) {
            (Some(id), _) => portal.update(kind, id, &input.properties, at_ms),
            (None, None | Some("hs_object_id")) => Err(Refusal::missing()),
            (None, Some(by)) => {
                let mut properties = input.properties.clone();
                properties.entry(by.to_owned()).or_insert_with(|| input.id().into());
                portal.create(kind, &properties, at_ms)
            }
        };
        match outcome {
            Ok(id) => {
                *(if new { &mut tally.created } else { &mut tally.updated }) += 1;
                let mut names = written_names(portal, kind, &input.properties);
                names.extend(input.id_property.clone());
                found.push(Found { id, names, trace: input.trace.clone(), new: Some(new) });
            }
            Err(refusal) => errors.push(refusal.in_batch(context(input))),
        }
    }
    tally.refused += errors.len() as u64;
    finish(portal, kind, found, errors, StatusCode::OK)
}

/// `POST /{type}/batch/read`
pub(crate) fn read(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    let mut body = json(call)?;
    let shelf = portal.known_shelf(kind)?;
    let by = body.get("idProperty").and_then(Value::as_str).map(str::to_owned);
    if let Some(by) = by.as_deref().filter(|by| *by != "hs_object_id" && !shelf.is_unique(by)) {
        return Err(Refusal::validation(format!("{by} is not a unique property of {kind}")));
    }
    let wanted: Vec<String> = match body.get("properties").and_then(Value::as_array) {
        Some(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => shelf.kind.defaults.clone(),
    };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for input in inputs(&mut body)? {
        match shelf.named(input.id(), by.as_deref()) {
            // Asked for twice, shown once.
            Some(id) if found.iter().any(|other: &Found| other.id == id) => {}
            Some(id) => found.push(Found { id, names: wanted.clone(), trace: None, new: None }),
            None => missing.push(input.id().to_owned()),
        }
    }
    let mut errors = Vec::new();
    if !missing.is_empty() {
        let message =
            "Could not get some objects, they may be deleted or not exist. Check that ids are valid.";
        let refusal = Refusal { message: message.into(), ..Refusal::missing() };
        errors.push(refusal.in_batch([("ids".to_owned(), json!(missing))].into_iter().collect()));
    }
    tally.records_out += found.len() as u64;
    finish(portal, kind, found, errors, StatusCode::OK)
}

/// `POST /{type}/batch/archive`; ids that are not there are passed over.
pub(crate) fn archive(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    portal.known_shelf(kind)?;
    let inputs = inputs(&mut json(call)?)?;
    let at_ms = portal.clock.tick();
    for input in &inputs {
        if let Ok(id) = input.id().parse()
            && portal.archive(kind, id, at_ms)
        {
            tally.deleted += 1;
        }
    }
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

impl Input {
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

fn inputs(body: &mut Value) -> Result<Vec<Input>, Refusal> {
    let Some(Value::Array(values)) = body.get_mut("inputs").map(Value::take) else {
        return Err(Refusal::validation("Invalid input JSON: inputs is required"));
    };
    if values.len() > MAX_INPUTS {
        let message = format!("The maximum number of inputs in a batch request is {MAX_INPUTS}");
        return Err(Refusal::validation(message));
    }
    values
        .into_iter()
        .map(|mut value| {
            let text = |name: &str| match value.get(name) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            let (id, id_property, trace) = (text("id"), text("idProperty"), text("objectWriteTraceId"));
            let properties = match value.get_mut("properties").map(Value::take) {
                None | Some(Value::Null) => Record::new(),
                Some(Value::Object(properties)) => properties,
                Some(_) => {
                    return Err(Refusal::validation("Invalid input JSON: properties must be an object"));
                }
            };
            Ok(Input { id, id_property, trace, properties })
        })
        .collect()
}

/// Every input names a record, by an id or a unique property, and none is named twice.
fn check_named(portal: &Portal, kind: &str, inputs: &[Input]) -> Result<(), Refusal> {
    let shelf = portal.known_shelf(kind)?;
    let mut times: HashMap<(Option<&str>, String), usize> = HashMap::new();
    for input in inputs {
        let by = input.id_property.as_deref();
        if input.id().is_empty() {
            return Err(Refusal::validation("Invalid input JSON: id is required"));
        }
        if let Some(by) = by.filter(|by| *by != "hs_object_id" && !shelf.is_unique(by)) {
            return Err(Refusal::validation(format!("{by} is not a unique property of {kind}")));
        }
        *times.entry((by, input.id().to_lowercase())).or_default() += 1;
    }
    let mut twice: Vec<String> = times.into_iter().filter(|(_, n)| *n > 1).map(|((_, id), _)| id).collect();
    if twice.is_empty() {
        return Ok(());
    }
    twice.sort();
    Err(Refusal::validation(format!("Duplicate IDs found in batch input: {twice:?}. IDs must be unique")))
}

/// Which input an error is about: its id, its trace, or both.
fn context(input: &Input) -> Map<String, Value> {
    let mut context = Map::new();
    if let Some(id) = &input.id {
        context.insert("ids".into(), json!([id]));
    }
    if let Some(trace) = &input.trace {
        context.insert("objectWriteTraceId".into(), json!([trace]));
    }
    context
}

fn finish(
    portal: &mut Portal,
    kind: &str,
    mut found: Vec<Found>,
    errors: Vec<Value>,
    all_good: StatusCode,
) -> Result<Answer, Refusal> {
    if let Some(seed) = portal.shuffle_seed {
        portal.batches += 1;
        let mut random = Random(seed.wrapping_add(portal.batches));
        // Fisher and Yates.
        for place in (1..found.len()).rev() {
            found.swap(place, random.below(place + 1));
        }
    }
    let at = stamp(portal.clock.now());
    let shelf = portal.known_shelf(kind)?;
    let mut out =
        format!(r#"{{"status":"COMPLETE","startedAt":"{at}","completedAt":"{at}","results":["#).into_bytes();
    for (position, Found { id, names, trace, new }) in found.iter().enumerate() {
        let Some(row) = shelf.get(*id) else { continue };
        if position > 0 {
            out.push(b',');
        }
        // Writing into memory does not fail.
        let mut extra = String::new();
        if let Some(new) = new {
            let _ = write!(extra, r#","new":{new}"#);
        }
        if let Some(trace) = trace {
            let _ = write!(extra, r#","objectWriteTraceId":{}"#, Value::from(trace.as_str()));
        }
        write_object(&mut out, *id, row, &row.properties, &shown(&shelf.kind, Some(names)), extra.as_bytes());
    }
    out.push(b']');
    let status = if errors.is_empty() {
        all_good
    } else {
        let count = errors.len();
        out.extend_from_slice(
            format!(r#","numErrors":{count},"errors":{}"#, Value::Array(errors)).as_bytes(),
        );
        StatusCode::MULTI_STATUS
    };
    out.push(b'}');
    Ok(Answer::json_bytes(status, out))
}
