//! A Redis server of the tests' own, on a free port of 127.0.0.1, in a folder that goes with it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::postgres_server::{end, files_below};

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The password of the default user: a canary that must not turn up anywhere.
pub const PASSWORD: &str = "CANARY-redis-password";

/// A running server, until dropped.
pub struct Redis {
    folder: TempDir,
    port: u16,
    settings: Vec<&'static str>,
    child: Mutex<Option<Child>>,
    prefixes: AtomicU32,
}

impl Redis {
    /// The server that tests share which do not harm it; it ends with the last of them.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(&[]));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server that keeps what it acknowledges, with these settings on top.
    pub fn start(settings: &[&'static str]) -> Self {
        let folder = tempfile::Builder::new().prefix("acople-redis-").tempdir().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let (child, prefixes) = (Mutex::default(), AtomicU32::new(0));
        let server = Self { folder, port, settings: settings.to_vec(), child, prefixes };
        server.go_on();
        server
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The address with the password in it.
    pub fn url(&self) -> String {
        Self::url_at(self.addr())
    }

    /// The same, by way of a proxy.
    pub fn url_at(addr: SocketAddr) -> String {
        format!("redis://:{PASSWORD}@{addr}/0")
    }

    /// A prefix that nobody has used.
    pub fn prefix(&self) -> String {
        format!("test-{}", self.prefixes.fetch_add(1, Ordering::Relaxed))
    }

    /// A connection past the store.
    pub async fn client(&self) -> MultiplexedConnection {
        redis::Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// Removes the keys of this pattern.
    pub async fn forget(&self, pattern: &str) {
        let mut client = self.client().await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(pattern).query_async(&mut client).await.unwrap();
        for key in keys {
            let _: i64 = redis::cmd("DEL").arg(key).query_async(&mut client).await.unwrap();
        }
    }

    /// SIGKILL.
    pub fn crash(&self) {
        let child = self.child.lock().unwrap().take();
        end(child.expect("it is down already"), "KILL");
    }

    /// Starts it again on the same port.
    pub fn go_on(&self) {
        let mut command = Command::new("redis-server");
        command.current_dir(self.folder.path()).args(["--port", &self.port.to_string()]);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.args(["--requirepass", PASSWORD]).args(&self.settings);
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
        let child = child.expect("Redis is not installed: run tests/stores-install.sh");
        *self.child.lock().unwrap() = Some(child);
        let begun = Instant::now();
        while !self.is_ready() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "Redis does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every file of the server, without its log.
    pub fn files(&self) -> Vec<Vec<u8>> {
        files_below(&self.folder.path().join("appendonlydir"))
    }

    fn is_ready(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect(self.addr()) else { return false };
        let mut answer = [0; 64];
        let asked = write!(connection, "AUTH {PASSWORD}\r\nPING\r\n").and_then(|()| {
            std::thread::sleep(Duration::from_millis(20));
            connection.read(&mut answer)
        });
        asked.is_ok() && String::from_utf8_lossy(&answer).contains("PONG")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = self.child.get_mut().ok().and_then(Option::take) {
            end(child, "KILL");
        }
    }
}
