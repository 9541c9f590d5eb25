//! SAP's CSRF tokens: bound to a session's cookies, fetched before the first write.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use acople_core::{
    AuthProvider, AuthStamp, Context, Endpoint, Error, ErrorKind, Lesson, Refresh, Request, Resources,
    Result, Secret,
};
use acople_http::{Answer, Call, Classifier, Client, Settings, secure_url};
use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use url::Url;

use crate::cookies;
use crate::fetched::Fetched;
use crate::stamps::Stamps;

const TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const OPERATION: &str = "fetch a CSRF token";

/// Adds SAP's CSRF token, and the session's cookies that it is bound to, to writes that another provider
/// authorizes
/// ([SAP Gateway: CSRF protection](https://help.sap.com/docs/SAP_NETWEAVER_AS_ABAP_752/68bf513362174d54b58cddec28794093/b35c22518bc72214e10000000a44176d.html)).
///
/// Before the first write the service's document is read with `X-CSRF-Token: Fetch`; the answer's token and
/// cookies go on all writes (everything but GET, HEAD and OPTIONS) until a write is refused with 403 and
/// `X-CSRF-Token: Required`. The client needs the [classifier](Self::classifier), which sees that. One fetch
/// serves all callers.
///
/// ```
/// use std::sync::Arc;
/// use acople_auth::{Csrf, StaticAuth};
/// use acople_core::{Resources, Secret};
/// use acople_http::{Client, StatusClassifier};
///
/// # fn example(resources: &Resources) -> acople_core::Result<()> {
/// let service = "https://s4.example.com/sap/opu/odata/sap/API_BUSINESS_PARTNER/";
/// let user = StaticAuth::basic("ACOPLE", &Secret::from("s3cret"));
/// let csrf = Csrf::new(Arc::new(user), service, resources)?;
/// let client = Client::with_resources(service, resources)?
///     .classifier(csrf.classifier(StatusClassifier))
///     .auth(Arc::new(csrf))
///     .build();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Csrf(Arc<Inner>);

struct Inner {
    provider: Arc<dyn AuthProvider>,
    url: Url,
    client: Client,
    tenant: String,
    token: Fetched<Token>,
    stamps: Stamps,
    /// How often a write was refused for its token.
    required: Arc<AtomicU64>,
}

struct Token {
    header: HeaderValue,
    cookies: Option<Secret>,
    /// What `required` was when it was fetched.
    required: u64,
}

impl Csrf {
    /// Tokens of the service at `url`, fetched with the credentials of `provider`.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when credentials may not travel to the URL.
    pub fn new(provider: Arc<dyn AuthProvider>, url: &str, resources: &Resources) -> Result<Self> {
        let url = secure_url(url)
            .map_err(|fault| Error::config("csrf_url", format!("the service's URL {fault}")))?;
        let settings = resources.extensions.get::<Settings>().cloned().unwrap_or_default();
        let client = Client::with_resources(&url.origin().ascii_serialization(), resources)?
            .connector("csrf")
            .auth(Arc::new(OfOrigin(provider.clone())))
            .settings(settings.without_shared_breakers())
            .build();
        Ok(Self(Arc::new(Inner {
            provider,
            url,
            client,
            tenant: resources.tenant.clone(),
            token: Fetched::default(),
            stamps: Stamps::default(),
            required: Arc::default(),
        })))
    }

    /// A classifier that sees when a token is refused: 403 with `X-CSRF-Token: Required` becomes
    /// [`Reauth`](ErrorKind::Reauth), so that the write is sent again with a new one.
    pub fn classifier<C: Classifier>(&self, inner: C) -> impl Classifier + use<C> {
        watching(Some(self), inner)
    }
}

impl Inner {
    async fn fetch(&self) -> Result<(Token, Option<std::time::Duration>)> {
        let required = self.required.load(Ordering::Acquire);
        let call = Call::get(OPERATION)
            .link(self.url.as_str())
            .any_content()
            .header(TOKEN, HeaderValue::from_static("Fetch"));
        let cx = Context::new().with_tenant(self.tenant.as_str());
        let answer = self.client.send(&cx, &call).await?;
        let token = answer.header(TOKEN.as_str()).filter(|token| !is_required(token) && !token.is_empty());
        let token = token.ok_or_else(|| {
            let message = "the service gives no CSRF token: is this the address of its service document?";
            Error::new(ErrorKind::Protocol, message)
                .with_status(answer.status().as_u16())
                .with_operation(OPERATION)
                .with_field("csrf_url")
        })?;
        let header = Secret::from(token).header_value()?;
        Ok((Token { header, cookies: cookies::set_by(&answer, &[]), required }, None))
    }
}

#[async_trait]
impl AuthProvider for Csrf {
    async fn authorize(&self, cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let own = self.0.provider.authorize(cx, request).await?;
        let mut parts = vec![own, AuthStamp(0)];
        if !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            let kept = self.0.token.get(self.0.fetch()).await?;
            request.headers_mut().insert(TOKEN, kept.value.header.clone());
            if let Some(cookies) = &kept.value.cookies {
                cookies::add(request, cookies)?;
            }
            parts = vec![own, AuthStamp(kept.stamp)];
        }
        Ok(self.0.stamps.combined(parts))
    }

    async fn refresh(&self, cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        let Some(parts) = self.0.stamps.parts(refused) else { return Ok(Refresh::Renewed) };
        let [own, token] = parts.as_slice() else { return Ok(Refresh::Renewed) };
        if token.0 > 0 {
            match self.0.token.at_hand() {
                // Others have fetched a new one since.
                Some(kept) if kept.stamp > token.0 => return Ok(Refresh::Renewed),
                Some(kept) if self.0.required.load(Ordering::Acquire) > kept.value.required => {
                    self.0.token.forget(token.0);
                    return Ok(Refresh::Renewed);
                }
                Some(_) => {}
                None => return Ok(Refresh::Renewed),
            }
        }
        let renewed = self.0.provider.refresh(cx, *own).await?;
        if renewed == Refresh::Renewed {
            // The token belongs to the session of the credentials before.
            self.0.token.forget(token.0);
        }
        Ok(renewed)
    }

    fn endpoint<'a>(&'a self, cx: &'a Context) -> Option<Endpoint<'a>> {
        self.0.provider.endpoint(cx)
    }
}

impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csrf").field("provider", &self.0.provider).finish_non_exhaustive()
    }
}

/// The provider without the address that it may name: the token is fetched where the config says.
#[derive(Debug)]
struct OfOrigin(Arc<dyn AuthProvider>);

#[async_trait]
impl AuthProvider for OfOrigin {
    async fn authorize(&self, cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        self.0.authorize(cx, request).await
    }

    async fn refresh(&self, cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        self.0.refresh(cx, refused).await
    }
}

#[derive(Debug)]
struct Watching<C> {
    /// Without one, refusals of tokens are like any other.
    required: Option<Arc<AtomicU64>>,
    inner: C,
}

impl<C: Classifier> Classifier for Watching<C> {
    fn classify(&self, answer: &Answer) -> Result<()> {
        let verdict = self.inner.classify(answer);
        let Some(required) = &self.required else { return verdict };
        if answer.status() != 403 || !answer.header(TOKEN.as_str()).is_some_and(is_required) {
            return verdict;
        }
        required.fetch_add(1, Ordering::AcqRel);
        let error = verdict.err().unwrap_or_else(|| acople_http::status_error(answer));
        Err(error.with_kind(ErrorKind::Reauth))
    }

    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        self.inner.lessons(answer, lessons);
    }
}

/// The classifier of a provider that may have such tokens.
pub(crate) fn watching<C: Classifier>(csrf: Option<&Csrf>, inner: C) -> impl Classifier + use<C> {
    Watching { required: csrf.map(|csrf| csrf.0.required.clone()), inner }
}

fn is_required(token: &str) -> bool {
    token.trim().eq_ignore_ascii_case("required")
}
