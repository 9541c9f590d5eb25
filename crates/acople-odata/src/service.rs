//! One OData service: checked, described, read.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use acople_core::{
    Catalog, Context, Cursors, Error, ErrorKind, EventStream, Health, ReadRequest, Resources, Result, Stream,
};
use acople_http::{Call, Client, ClientBuilder};
use http::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::edm::{self, Model};
use crate::plan::Plan;
use crate::{EntitySet, ODataClassifier, Options, Protocol, abilities, edmx, read, schema};

/// The version of cursors that this crate writes.
const CURSOR_VERSION: u16 = 1;

/// A builder of the client of a service, with the slash behind its root that relative next links need, and with
/// [`ODataClassifier`]. A vendor adds its credentials, its limits and, around that one, its own classifier.
///
/// # Errors
/// `Config` that names `base_url` when credentials may not travel there.
pub fn client(root: &str, resources: &Resources) -> Result<ClientBuilder> {
    let root = format!("{}/", root.trim_end_matches('/'));
    Ok(Client::with_resources(&root, resources)?.classifier(ODataClassifier))
}

/// One OData service: what a vendor's connector delegates to. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    client: Client,
    options: Options,
    /// The model as last fetched: types decide how values stand in a query.
    model: Mutex<Option<Arc<Model>>>,
}

impl Service {
    /// The service at a client's base URL; see [`client`]. Does no I/O.
    pub fn new(client: Client, options: Options) -> Self {
        Self(Arc::new(Inner { client, options, model: Mutex::default() }))
    }

    /// Whether the service answers with its document in the protocol of the options.
    ///
    /// # Errors
    /// `Config` on `protocol` when it speaks the other version, `Protocol` when it is no OData service.
    pub async fn check(&self, cx: &Context) -> Result<Health> {
        #[derive(Deserialize)]
        struct V2 {
            #[serde(rename = "EntitySets")]
            sets: Vec<Box<RawValue>>,
        }
        #[derive(Deserialize)]
        struct Root {
            d: Option<V2>,
            value: Option<Vec<Box<RawValue>>>,
        }
        let call = self.dress(Call::get("read service document").path([""]), None);
        let root: Root = self.client().send(cx, &call).await?.json()?;
        let sets = match (self.protocol(), &root.d, &root.value) {
            (Protocol::V2, Some(d), _) => d.sets.len(),
            (Protocol::V4, _, Some(value)) => value.len(),
            (Protocol::V2, _, Some(_)) => return Err(speaks(Protocol::V4)),
            (Protocol::V4, Some(_), _) => return Err(speaks(Protocol::V2)),
            _ => return Err(Error::new(ErrorKind::Protocol, "no OData service document at this address")),
        };
        let host = self.client().base().host_str().unwrap_or_default();
        Ok(Health::ok(format!("{sets} entity sets at {host}")))
    }

    /// The entity sets, as the metadata describes them now.
    pub async fn discover(&self, cx: &Context) -> Result<Catalog> {
        let model = self.fetch_model(cx).await?;
        let streams = model.sets.iter().map(|set| schema::stream(&model, set, self.options()));
        Ok(Catalog { streams: streams.collect() })
    }

    /// One entity set, as the metadata describes it now. The metadata comes whole in either case.
    ///
    /// # Errors
    /// `Config` that names `stream` when there is none of that name.
    pub async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        let model = self.fetch_model(cx).await?;
        Ok(schema::stream(&model, known(&model, stream)?, self.options()))
    }

    /// Starts a read, in full by key or by changes.
    ///
    /// # Errors
    /// `Config` for a mode or a cursor from elsewhere; the rest comes through the stream.
    pub fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        read::events(self, cx, request, Vec::new())
    }

    /// One entity set, for reading its records as a host's own types.
    pub fn entity_set(&self, name: impl Into<String>) -> EntitySet {
        EntitySet::new(self.clone(), name.into())
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.0.options.protocol
    }

    pub(crate) fn cursors(&self) -> Cursors {
        Cursors::new(self.0.options.connector, CURSOR_VERSION)
    }

    /// How the stream of a request is read.
    pub(crate) async fn plan(
        &self,
        cx: &Context,
        request: &ReadRequest,
        conditions: Vec<String>,
    ) -> Result<Plan> {
        let model = self.model_with(cx, request.stream()).await?;
        let set = known(&model, request.stream())?;
        if !set.readable && conditions.is_empty() {
            let message = format!("{} cannot be read by itself, says the service", set.name);
            return Err(Error::config("stream", message));
        }
        Plan::new(&model, set, self.options(), request, conditions)
    }

    /// The model, fetched anew if the one at hand does not know the entity set.
    pub(crate) async fn model_with(&self, cx: &Context, set: &str) -> Result<Arc<Model>> {
        let found = self.0.model.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match found {
            Some(model) if model.set(set).is_some() => Ok(model),
            _ => self.fetch_model(cx).await,
        }
    }

    /// Adds what each request carries.
    pub(crate) fn dress(&self, mut call: Call, link: Option<&str>) -> Call {
        if self.protocol() == Protocol::V4 {
            // Without it decimals and 64-bit numbers come as JSON numbers.
            call = call.header(ACCEPT, HeaderValue::from_static("application/json;IEEE754Compatible=true"));
        }
        for (name, value) in &self.options().query {
            if !link.is_some_and(|link| link.contains(&format!("{name}="))) {
                call = call.query(*name, value);
            }
        }
        call
    }

    /// A next link, moved to the connection's origin where the options say so.
    pub(crate) fn next_link(&self, link: String) -> String {
        match Url::parse(&link) {
            Ok(url) if self.options().swap_next_origin && matches!(url.scheme(), "http" | "https") => {
                url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
            }
            _ => link,
        }
    }

    async fn fetch_model(&self, cx: &Context) -> Result<Arc<Model>> {
        let call = Call::get("read metadata").path(["$metadata"]).any_content();
        // Some services have the metadata in JSON as well, and prefer it.
        let call = self.dress(call, None).header(ACCEPT, HeaderValue::from_static("application/xml"));
        let page = self.client().send(cx, &call).await?.into_page()?;
        let model =
            edmx::parse(page.as_str(), self.protocol()).map_err(|e| e.with_operation(call.operation()))?;
        abilities::check_change_fields(&model, self.options())?;
        let model = Arc::new(model);
        *self.0.model.lock().unwrap_or_else(PoisonError::into_inner) = Some(model.clone());
        Ok(model)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("client", &self.0.client)
            .field("protocol", &self.protocol())
            .finish_non_exhaustive()
    }
}

/// A service of the other version than the options say.
pub(crate) fn speaks(found: Protocol) -> Error {
    let name = match found {
        Protocol::V2 => "v2",
        Protocol::V4 => "v4",
    };
    Error::config("protocol", format!("the service speaks OData {}: set {name}", found.version()))
}

fn known<'a>(model: &'a Model, name: &str) -> Result<&'a edm::EntitySet> {
    model.set(name).ok_or_else(|| Error::config("stream", format!("the service has no entity set {name:?}")))
}
