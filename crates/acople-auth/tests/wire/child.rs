//! What the processes do that are started and killed: this test binary starts itself.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    AuthProvider, ConnectionKey, Context, ErrorKind, Generation, Lease, Request, Response, Result, TokenSet,
    TokenStore, Transport, TransportError,
};
use acople_store_redb::{MasterKey, RedbStore};
use async_trait::async_trait;
use tokio::sync::RwLock;

use crate::vendor::{auth, resources, token};

const ROLE: &str = "ACOPLE_AUTH_TEST_ROLE";
const STORE: &str = "ACOPLE_AUTH_TEST_STORE";
const URL: &str = "ACOPLE_AUTH_TEST_URL";
const REFRESH: &str = "ACOPLE_AUTH_TEST_REFRESH";

/// Where a process says that it is and stands still, to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    BeforeSend,
    AfterAnswer,
    DuringWrite,
    AfterWrite,
}

pub(crate) const POINTS: [Point; 4] =
    [Point::BeforeSend, Point::AfterAnswer, Point::DuringWrite, Point::AfterWrite];

/// Not a test of its own: what the started process does.
#[tokio::test]
#[allow(clippy::disallowed_methods)] // the parent tells the child its role
async fn child() {
    let var = |name: &str| std::env::var(name).ok();
    let (Some(role), Some(path), Some(url), Some(refresh)) = (var(ROLE), var(STORE), var(URL), var(REFRESH))
    else {
        return;
    };
    let store = open(path.as_ref()).await;
    let mut resources = resources();
    if let Some(point) = POINTS.into_iter().find(|point| format!("{point:?}") == role) {
        resources.transport = Arc::new(Halting { inner: resources.transport.clone(), point });
        let auth =
            auth(&url, &refresh, &resources.with_tokens(Arc::new(HaltingStore { inner: store, point })));
        let _ = token(&auth).await;
        panic!("it does not come this far");
    }
    let auth = auth(&url, &refresh, &resources.with_tokens(Arc::new(store)));
    match role.as_str() {
        // Asks a few times, as callers do, and ends.
        "go on" => {
            for _ in 0..5 {
                match token(&auth).await {
                    Ok((access, _)) => say(&format!("token {access}")),
                    Err(error) => say(&format!("error {:?}", error.kind())),
                }
            }
        }
        // Renews until it is killed, or until there is nothing to renew with.
        "renew for ever" => loop {
            let renewed = match token(&auth).await {
                Ok((_, stamp)) => auth.refresh(&Context::new(), stamp).await.map(|_| ()),
                Err(error) => Err(error),
            };
            match renewed {
                Ok(()) => say("renewed"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Reauth, "{error}");
                    // Callers that come all the same cause no token calls.
                    for _ in 0..3 {
                        assert!(token(&auth).await.is_err());
                    }
                    say("reauth");
                    return;
                }
            }
        },
        role => panic!("no such role: {role}"),
    }
}

pub(crate) async fn open(path: &Path) -> RedbStore {
    let key = MasterKey::new("k", &[7; 32]).unwrap();
    RedbStore::builder().master_key(key).open(path).await.unwrap()
}

/// Processes begin while no test has a store open: between fork and exec a new process has the files of this one,
/// and with them the lock of a store that it does not know.
pub(crate) static FORKS: RwLock<()> = RwLock::const_new(());

pub(crate) async fn start(role: &str, path: &Path, url: &str, refresh: &str) -> Child {
    let _alone = FORKS.write().await;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::child", "--nocapture", "--quiet"])
        .env(ROLE, role)
        .env(STORE, path)
        .env(URL, url)
        .env(REFRESH, refresh)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the child says, without the words of the test runner.
pub(crate) fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter_map(|line| Some(line.split_once("child> ")?.1.to_owned()))
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "child> {line}").unwrap();
    out.flush().unwrap();
}

async fn halt() -> ! {
    say("halted");
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// Stands still before a request goes out, or with the answer in hand.
#[derive(Debug)]
struct Halting {
    inner: Arc<dyn Transport>,
    point: Point,
}

#[async_trait]
impl Transport for Halting {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if self.point == Point::BeforeSend {
            halt().await;
        }
        let response = self.inner.send(request).await;
        if self.point == Point::AfterAnswer {
            assert!(response.is_ok());
            halt().await;
        }
        response
    }
}

/// Stands still while the tokens are being written, or when they are.
#[derive(Debug)]
struct HaltingStore {
    inner: RedbStore,
    point: Point,
}

#[async_trait]
impl TokenStore for HaltingStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        TokenStore::load(&self.inner, key).await
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        if self.point == Point::DuringWrite {
            let (inner, key, tokens) = (self.inner.clone(), key.clone(), tokens.clone());
            tokio::spawn(async move { TokenStore::save(&inner, &key, expected, &tokens).await });
            tokio::task::yield_now().await;
            halt().await;
        }
        let saved = TokenStore::save(&self.inner, key, expected, tokens).await;
        if self.point == Point::AfterWrite {
            assert!(saved.is_ok());
            halt().await;
        }
        saved
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        TokenStore::remove(&self.inner, key).await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        self.inner.lease(key, holder, term).await
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.inner.release(key, holder).await
    }
}
