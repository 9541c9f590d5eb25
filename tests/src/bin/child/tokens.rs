//! A worker that shares the tokens of a connection with other processes.

use std::collections::BTreeSet;
use std::sync::Arc;

use acople::auth::{ClientStyle, Grant, OAuth2, OAuthClient};
use acople::http::{HttpTransport, TransportConfig};
use acople::store_postgres::{MasterKey, PostgresStore};
use acople::store_redis::RedisStore;
use acople::{
    AuthProvider, AuthStamp, Context, Error, ErrorKind, Request, Resources, Result, Secret, TokenStore,
};
use acople_tests::job::{Said, StoreAt, TokenWork, Tokens};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;

use crate::say;

pub(crate) async fn run(work: Tokens) -> Result<()> {
    let transport = Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback())?);
    let resources = Resources::new(transport).with_tokens(open(work.store).await?);
    let client =
        OAuthClient { id: "app".into(), secret: Some(Secret::from("s3cret")), style: ClientStyle::Body };
    let grant = Grant::RefreshToken { refresh_token: work.refresh.as_str().into() };
    let auth =
        OAuth2::builder("example", &format!("{}/token", work.vendor), client, grant, &resources)?.build();
    say(&Said::Ready);
    match work.work {
        TokenWork::Ask { tasks } => ask(&auth, tasks).await,
        TokenWork::Renew => renew(&auth).await,
    }
}

async fn open(store: StoreAt) -> Result<Arc<dyn TokenStore>> {
    let key = MasterKey::new("k", &[7; 32])?;
    Ok(match store {
        StoreAt::Postgres { address, schema } => {
            Arc::new(PostgresStore::builder(address).schema(schema).master_key(key).open().await?)
        }
        StoreAt::Redis { address, prefix } => {
            Arc::new(RedisStore::builder(address).prefix(prefix).master_key(key).open().await?)
        }
    })
}

async fn ask(auth: &OAuth2, tasks: usize) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut before = None;
    while let Ok(Some(_)) = lines.next_line().await {
        let mut asked = JoinSet::new();
        for _ in 0..tasks {
            let auth = auth.clone();
            asked.spawn(async move {
                if let Some(stamp) = before {
                    auth.refresh(&Context::new(), stamp).await?;
                }
                token(&auth).await
            });
        }
        let (mut access, mut stamps) = (BTreeSet::new(), BTreeSet::new());
        for token in asked.join_all().await {
            let (text, stamp) = token?;
            access.insert(text);
            stamps.insert(stamp.0);
        }
        before = stamps.last().copied().map(AuthStamp);
        say(&Said::Tokens { access: access.into_iter().collect() });
    }
    Ok(())
}

async fn renew(auth: &OAuth2) -> Result<()> {
    loop {
        let (_, stamp) = token(auth).await?;
        auth.refresh(&Context::new(), stamp).await?;
        say(&Said::Renewed);
    }
}

/// The access token in use, and the stamp to refuse it by.
async fn token(auth: &OAuth2) -> Result<(String, AuthStamp)> {
    let wrong = |_| Error::new(ErrorKind::Internal, "not a url");
    let url = "https://api.example.com".parse().map_err(wrong)?;
    let mut request = Request::new(http::Method::GET, url);
    let stamp = auth.authorize(&Context::new(), &mut request).await?;
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    Ok((header.unwrap_or_default().trim_start_matches("Bearer ").to_owned(), stamp))
}
