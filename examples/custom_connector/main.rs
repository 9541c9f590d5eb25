//! A connector of the host's own, for a small invented API: a library with books.
//!
//! `GET /books?page=n` answers `{"books":[...],"pages":2}`, with the key in the header `X-Key`. That is all there is
//! to it: the request path (limits, retries, breaker, deadlines), paging and checkpoints come with acople.

#![allow(clippy::print_stdout)] // a program that talks to a person

use std::sync::Arc;
use std::time::Duration;

use acople::auth::StaticAuth;
use acople::http::{Call, Client, Limits, Pages, Paging, Position};
use acople::{
    Catalog, Connector, ConnectorInfo, Context, Cursor, Error, ErrorKind, Event, EventStream, Health,
    Listing, ReadMode, ReadRequest, Resources, Result, Secret, Stream,
};
use acople_testkit::{Reply, ScriptedTransport};
use async_stream::try_stream;
use async_trait::async_trait;
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

const ID: &str = "library";
const CURSOR_VERSION: u16 = 1;

/// What a connection needs to know. The schema of this struct is the connector's config form.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    key: Secret,
    #[serde(default = "default_url")]
    base_url: String,
}

fn default_url() -> String {
    "https://library.example.com".to_owned()
}

#[derive(Debug)]
struct Library {
    info: ConnectorInfo,
    client: Client,
}

impl Library {
    fn new(config: Config, resources: &Resources) -> Result<Self> {
        let client = Client::with_resources(&config.base_url, resources)?
            .connector(ID)
            .auth(Arc::new(StaticAuth::header(http::HeaderName::from_static("x-key"), config.key)))
            .limits(Limits::new().rate("key", 10, Duration::from_secs(1)).class("default", &["key"]))
            .build();
        Ok(Self { info: ConnectorInfo::new(ID, "Library"), client })
    }
}

#[async_trait]
impl Connector for Library {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        self.client.send(cx, &Call::get("check").path(["books"])).await?;
        Ok(Health::ok("the library answers"))
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let schema = json!({
            "type": "object",
            "properties": { "isbn": { "type": "string" }, "title": { "type": "string" } },
            "required": ["isbn", "title"],
        });
        let books = Stream::new("books")
            .schema(schema)
            .key(["isbn"])
            .reads([ReadMode::Full])
            // Pages are counted: a book that is removed meanwhile moves the rest by one.
            .listing(Listing::Shifting);
        Ok(Catalog { streams: vec![books] })
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        if request.stream() != "books" || request.mode() != ReadMode::Full {
            return Err(Error::new(ErrorKind::Config, "the library has books, to be read in full"));
        }
        let start: Option<Position> = match request.cursor() {
            Some(cursor) => Some(cursor.state(ID, "books", CURSOR_VERSION)?),
            None => None,
        };
        let call = Call::get("list books").path(["books"]);
        let whole = start.is_none() && request.limit().is_none();
        let mut pages = Pages::new(&self.client, cx, call, "books", &["books"], Paging::number("page", 1))?
            .from(start)
            .prefetch(request.prefetch());
        let mut left = request.limit().map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        Ok(Box::pin(try_stream! {
            if whole {
                yield Event::SnapshotBegin;
            }
            while let Some(page) = pages.next().await {
                let page = page?;
                let books = page.batch.select(0..page.batch.len().min(left));
                left -= books.len();
                yield Event::Batch(books);
                if let Some(next) = &page.next {
                    yield Event::Checkpoint(Cursor::new(ID, "books", CURSOR_VERSION, next)?);
                }
                if left == 0 {
                    return;
                }
            }
            if whole {
                yield Event::SnapshotEnd;
            }
        }))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    // In place of the library's server: answers from a script, a throttle among them.
    let library = ScriptedTransport::new([
        Reply::json(
            200,
            r#"{"books":[{"isbn":"978-0-00-1","title":"Rayuela"},{"isbn":"978-0-00-2","title":"Ficciones"}]}"#,
        ),
        Reply::json(429, "{}").header("retry-after", "1"),
        Reply::json(200, r#"{"books":[{"isbn":"978-0-00-3","title":"Pedro Páramo"}]}"#),
        Reply::json(200, r#"{"books":[]}"#),
    ]);
    let config = acople::parse_config(json!({ "key": "s3cret" }))?;
    let connector = Library::new(config, &Resources::new(Arc::new(library)))?;
    let mut events = connector.read(&Context::new(), ReadRequest::full("books"))?;
    while let Some(event) = events.next().await {
        match event? {
            Event::Batch(batch) => batch.iter().for_each(|record| println!("{}", record.raw())),
            other => println!("-- {other:?}"),
        }
    }
    Ok(())
}
