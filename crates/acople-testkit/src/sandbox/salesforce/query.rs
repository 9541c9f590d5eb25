//! Running queries: which records, in which order, and their pages.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        call::{Answer, Call},
        stats::Tally,
    },
    errors::error,
    filter::{Column, Hop, Predicate, SortKey, Unfit},
    id,
    org::Org,
    schema::Object,
    soql::{self, Order, Query, Select},
    store::{Row, Table, Tables},
};

/// The most records of a page.
const MAX_PAGE: usize = 2_000;
/// The fewest records that a batch size may ask for.
const MIN_PAGE: usize = 200;
const MAX_OFFSET: usize = 2_000;
/// Open locators; the oldest is given up for a new one.
const MAX_CURSORS: usize = 64;

/// The open locators of an org.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    made: u64,
    open: BTreeMap<String, Cursor>,
}

impl Cursors {
    pub(crate) fn expire_all(&mut self) {
        self.open.clear();
    }

    fn add(&mut self, cursor: Cursor) -> String {
        self.made += 1;
        let name = id::make("01g", self.made);
        self.open.insert(name.clone(), cursor);
        while self.open.len() > MAX_CURSORS {
            self.open.pop_first();
        }
        name
    }
}

/// The records of a query as they were when it ran, and what to show of them.
#[derive(Debug)]
struct Cursor {
    plan: Plan,
    ids: Vec<String>,
    page: usize,
}

#[derive(Debug)]
struct Plan {
    object: String,
    include_deleted: bool,
    columns: Vec<Shown>,
}

/// A column of the answer.
#[derive(Debug)]
enum Shown {
    Own(String),
    Related { hop: Hop, fields: Vec<String> },
}

/// `GET query?q=` and `GET queryAll?q=`.
pub(crate) fn run(
    org: &mut Org,
    call: &Call,
    version: &str,
    include_deleted: bool,
    tally: &mut Tally,
) -> Answer {
    let Some(text) = call.param("q") else {
        return error(StatusCode::BAD_REQUEST, "MALFORMED_QUERY", "a query is needed");
    };
    let query = match soql::parse(&text) {
        Ok(query) => query,
        Err(malformed) => return error(StatusCode::BAD_REQUEST, "MALFORMED_QUERY", &malformed.0),
    };
    let (plan, ids) = match select(org, &query, include_deleted) {
        Ok((Some(plan), ids)) => (plan, ids),
        Ok((None, ids)) => {
            return Answer::json(
                StatusCode::OK,
                &json!({"totalSize": ids.len(), "done": true, "records": []}),
            );
        }
        Err(unfit) => return error(StatusCode::BAD_REQUEST, unfit.code, &unfit.message),
    };
    let page = page_size(org.page_size, call);
    let cursor = Cursor { plan, ids, page };
    if cursor.ids.len() <= page {
        return write_page(&org.tables, &cursor, 0, None, version, tally);
    }
    let name = org.cursors.add(cursor);
    match org.cursors.open.get(&name) {
        Some(cursor) => write_page(&org.tables, cursor, 0, Some(&name), version, tally),
        None => expired(),
    }
}

/// `GET query/{locator}`.
pub(crate) fn more(org: &Org, locator: &str, version: &str, tally: &mut Tally) -> Answer {
    let found = locator
        .rsplit_once('-')
        .and_then(|(name, offset)| Some((name, org.cursors.open.get(name)?, offset.parse::<usize>().ok()?)));
    match found {
        Some((name, cursor, start)) if start < cursor.ids.len() => {
            write_page(&org.tables, cursor, start, Some(name), version, tally)
        }
        _ => expired(),
    }
}

/// A record as `GET sobjects/{T}/{id}` shows it: all fields, or those asked for.
pub(crate) fn whole_record(
    object: &Object,
    row: &Row,
    fields: Option<&[String]>,
    version: &str,
) -> Result<Value, Unfit> {
    let mut out = super::super::Record::new();
    let id = row.fields.get("Id").and_then(Value::as_str).unwrap_or_default();
    out.insert("attributes".into(), attributes(&object.name, id, version));
    let show = |name: &str| row.fields.get(name).cloned().unwrap_or(Value::Null);
    match fields {
        None => {
            for field in object.fields() {
                out.insert(field.name.clone(), show(&field.name));
            }
        }
        Some(names) => {
            for name in names {
                let field = object.find(name).ok_or_else(|| super::filter::no_column(name, &object.name))?;
                out.insert(field.name.clone(), show(&field.name));
            }
        }
    }
    Ok(Value::Object(out))
}

fn expired() -> Answer {
    error(StatusCode::BAD_REQUEST, "INVALID_QUERY_LOCATOR", "invalid query locator")
}

/// The page size of the org, or the smaller one that the client hints at.
fn page_size(own: usize, call: &Call) -> usize {
    let hint = call.header("sforce-query-options").and_then(|options| {
        options.split([',', ';']).find_map(|option| {
            let (name, value) = option.split_once('=')?;
            name.trim().eq_ignore_ascii_case("batchSize").then(|| value.trim().parse::<usize>().ok())?
        })
    });
    let own = own.clamp(1, MAX_PAGE);
    hint.map_or(own, |hint| own.min(hint.clamp(MIN_PAGE, MAX_PAGE)))
}

fn table<'o>(org: &'o Org, query: &Query) -> Result<&'o Table, Unfit> {
    org.tables
        .find(&query.from)
        .ok_or_else(|| Unfit::new("INVALID_TYPE", format!("sObject type '{}' is not supported.", query.from)))
}

/// What to show, `None` for a mere count, and the ids in order.
fn select(org: &Org, query: &Query, include_deleted: bool) -> Result<(Option<Plan>, Vec<String>), Unfit> {
    let table = table(org, query)?;
    let plan = match &query.select {
        Select::Fields(paths) => Some(Plan {
            object: table.object().name.clone(),
            include_deleted,
            columns: shown(&org.tables, table, paths)?,
        }),
        Select::Count => None,
    };
    if query.offset > MAX_OFFSET {
        let message = format!("Maximum SOQL offset allowed is {MAX_OFFSET}");
        return Err(Unfit::new("NUMBER_OUTSIDE_VALID_RANGE", message));
    }
    Ok((plan, matching(org, query, include_deleted)?))
}

fn matching(org: &Org, query: &Query, include_deleted: bool) -> Result<Vec<String>, Unfit> {
    let (tables, table) = (&org.tables, table(org, query)?);
    let predicate = query.filter.as_ref().map(|expr| Predicate::compile(tables, table, expr)).transpose()?;
    let mut order = Vec::new();
    for wanted in &query.order {
        let column = Column::resolve(tables, table, &wanted.field)?;
        column.check_filterable()?;
        order.push((column, wanted));
    }
    let fits = |(_, row): &(&String, &Row)| {
        (include_deleted || row.deleted_ms.is_none())
            && predicate.as_ref().is_none_or(|predicate| predicate.matches(tables, row))
    };
    let window = query.limit.unwrap_or(usize::MAX);
    let ascending = |position: usize, name: &str| {
        order.get(position).is_some_and(|(column, wanted)| column.is_own(name) && !wanted.descending)
    };
    let owned = |(id, _): (&String, &Row)| id.clone();
    let first_id = predicate.as_ref().and_then(Predicate::first_id).unwrap_or_default();
    if order.is_empty() || ascending(0, "Id") {
        return Ok(table.by_id(first_id).filter(fits).skip(query.offset).take(window).map(owned).collect());
    }
    if ascending(0, "SystemModstamp") && (order.len() == 1 || ascending(1, "Id")) {
        let earliest = predicate.as_ref().and_then(Predicate::earliest).unwrap_or(i64::MIN);
        return Ok(table.by_time(earliest).filter(fits).skip(query.offset).take(window).map(owned).collect());
    }
    let mut found: Vec<(Vec<Option<SortKey>>, &String)> = table
        .by_id(first_id)
        .filter(fits)
        .map(|(id, row)| (order.iter().map(|(column, _)| column.sort_key(tables, row)).collect(), id))
        .collect();
    found.sort_by(|(one, _), (two, _)| {
        one.iter().zip(two).zip(&order).fold(
            std::cmp::Ordering::Equal,
            |so_far, ((one, two), (_, wanted))| {
                so_far.then_with(|| arrange(one.as_ref(), two.as_ref(), wanted))
            },
        )
    });
    Ok(found.into_iter().skip(query.offset).take(window).map(|(_, id)| id.clone()).collect())
}

fn arrange(one: Option<&SortKey>, two: Option<&SortKey>, order: &Order) -> std::cmp::Ordering {
    match (one, two) {
        (Some(one), Some(two)) if order.descending => two.compare(one),
        (Some(one), Some(two)) => one.compare(two),
        (one, two) if order.nulls_last => two.is_some().cmp(&one.is_some()),
        (one, two) => one.is_some().cmp(&two.is_some()),
    }
}

fn shown(tables: &Tables, table: &Table, paths: &[String]) -> Result<Vec<Shown>, Unfit> {
    let mut out: Vec<Shown> = Vec::new();
    for path in paths {
        let column = Column::resolve(tables, table, path)?;
        let duplicate = out.iter().any(|other| match other {
            Shown::Own(field) => column.is_own(field),
            Shown::Related { hop, fields } => {
                column.hop.as_ref() == Some(hop) && fields.contains(&column.field)
            }
        });
        if duplicate {
            return Err(Unfit::new("INVALID_FIELD", format!("duplicate field selected: {path}")));
        }
        let Some(wanted) = column.hop else {
            out.push(Shown::Own(column.field));
            continue;
        };
        let known = out.iter_mut().find_map(|other| match other {
            Shown::Related { hop, fields } if *hop == wanted => Some(fields),
            _ => None,
        });
        match known {
            Some(fields) => fields.push(column.field),
            None => out.push(Shown::Related { hop: wanted, fields: vec![column.field] }),
        }
    }
    Ok(out)
}

fn attributes(object: &str, id: &str, version: &str) -> Value {
    json!({"type": object, "url": format!("/services/data/{version}/sobjects/{object}/{id}")})
}

/// Writes a page straight into its bytes: building a tree of 2,000 records first would take most of the time.
fn write_page(
    tables: &Tables,
    cursor: &Cursor,
    start: usize,
    name: Option<&str>,
    version: &str,
    tally: &mut Tally,
) -> Answer {
    let total = cursor.ids.len();
    let end = start.saturating_add(cursor.page).min(total);
    let mut out = Vec::with_capacity((end - start) * 256 + 128);
    out.extend_from_slice(format!(r#"{{"totalSize":{total},"done":{}"#, end == total).as_bytes());
    if let Some(name) = name.filter(|_| end < total) {
        let url = format!(r#","nextRecordsUrl":"/services/data/{version}/query/{name}-{end}""#);
        out.extend_from_slice(url.as_bytes());
    }
    out.extend_from_slice(br#","records":["#);
    let plan = &cursor.plan;
    let table = tables.find(&plan.object);
    let rows = cursor.ids.iter().take(end).skip(start).filter_map(|id| {
        let row = table?.get(id)?;
        (plan.include_deleted || row.deleted_ms.is_none()).then_some((id, row))
    });
    for (position, (id, row)) in rows.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_head(&mut out, &plan.object, id, version);
        for column in &plan.columns {
            match column {
                Shown::Own(field) => write_field(&mut out, field, row.fields.get(field)),
                Shown::Related { hop, fields } => write_related(&mut out, tables, row, hop, fields, version),
            }
        }
        out.push(b'}');
        tally.records_out += 1;
    }
    out.extend_from_slice(b"]}");
    Answer::json_bytes(StatusCode::OK, out)
}

fn write_head(out: &mut Vec<u8>, object: &str, id: &str, version: &str) {
    for part in [
        r#"{"attributes":{"type":""#,
        object,
        r#"","url":"/services/data/"#,
        version,
        "/sobjects/",
        object,
        "/",
        id,
        r#""}"#,
    ] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_field(out: &mut Vec<u8>, name: &str, value: Option<&Value>) {
    // Names of fields are ASCII words: nothing to escape.
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(out, value.unwrap_or(&Value::Null));
}

fn write_related(out: &mut Vec<u8>, tables: &Tables, row: &Row, hop: &Hop, fields: &[String], version: &str) {
    out.extend_from_slice(format!(",\"{}\":", hop.relationship).as_bytes());
    let related = row.fields.get(&hop.reference).and_then(Value::as_str).and_then(|id| {
        let row = tables.find(&hop.target)?.get(id)?;
        row.deleted_ms.is_none().then_some((id, row))
    });
    let Some((id, row)) = related else {
        out.extend_from_slice(b"null");
        return;
    };
    write_head(out, &hop.target, id, version);
    for field in fields {
        write_field(out, field, row.fields.get(field));
    }
    out.push(b'}');
}
