//! A PostgreSQL server of the tests' own, on a free port of 127.0.0.1, in a folder that goes with it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// How long the server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The password of the one user, `acople`: a canary that must not turn up anywhere.
pub const PASSWORD: &str = "CANARY-pg-password";

/// A running server, until dropped.
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    /// Who runs it: PostgreSQL does not run as root.
    user: Option<(u32, u32)>,
    port: u16,
    settings: Vec<&'static str>,
    child: Mutex<Option<Child>>,
    schemas: AtomicU32,
}

impl Postgres {
    /// The server that tests share which do not harm it; it ends with the last of them.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(&[]));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server with these settings.
    pub fn start(settings: &[&'static str]) -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("acople-postgres-").tempdir().unwrap();
        let user = (number_of(&["-u"]) == 0).then(|| {
            let user = (number_of(&["-u", "postgres"]), number_of(&["-g", "postgres"]));
            std::os::unix::fs::chown(folder.path(), Some(user.0), Some(user.1)).unwrap();
            user
        });
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let settings = settings.to_vec();
        let (child, schemas) = (Mutex::default(), AtomicU32::new(0));
        let server = Self { programs, folder, user, port, settings, child, schemas };
        let made = server
            .program("initdb")
            .args(["--username=acople", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", password.display()))
            .arg(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
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
        format!("postgresql://acople:{PASSWORD}@{addr}/postgres")
    }

    /// The name of a schema that nobody has used.
    pub fn schema(&self) -> String {
        format!("test_{}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }

    /// A connection past the store, which is good until the client is dropped.
    pub async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Ends it as a crash does: nothing is written that is not on the disk.
    pub fn crash(&self) {
        let child = self.child.lock().unwrap().take();
        end(child.expect("it is down already"), "QUIT");
    }

    /// Starts it again on the same port.
    pub fn go_on(&self) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let mut child = self.serve();
            loop {
                if let Some(status) = child.try_wait().unwrap() {
                    // The memory of the one before is not free yet.
                    eprintln!("postgres ended ({status}): {}", self.log());
                    break;
                }
                if self.is_ready() {
                    *self.child.lock().unwrap() = Some(child);
                    return;
                }
                if begun.elapsed() > PATIENCE {
                    end(child, "QUIT");
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        panic!("PostgreSQL does not start: {}", self.log());
    }

    fn serve(&self) -> Child {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        let ours = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"];
        for setting in ours.iter().chain(&self.settings) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn is_ready(&self) -> bool {
        let mut command = self.program("pg_isready");
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.status().is_ok_and(|status| status.success())
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = self.child.get_mut().ok().and_then(Option::take) {
            end(child, "QUIT");
        }
    }
}

/// Signals a server and waits for its end.
pub fn end(mut child: Child, signal: &str) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The newest PostgreSQL where Debian puts them.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter(|entry| entry.path().join("bin/initdb").exists())
        .max_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    let found = newest.map(|entry| entry.path().join("bin"));
    found.unwrap_or_else(|| panic!("PostgreSQL is not installed: run tests/stores-install.sh"))
}

fn number_of(arguments: &[&str]) -> u32 {
    let told = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8_lossy(&told.stdout).trim().parse().expect("no user postgres")
}

/// For assertions about what is on the disk.
pub fn files_below(folder: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            _ => files.extend(fs::read(entry.path()).ok()),
        }
    }
    files
}

impl Postgres {
    /// Every file of the database.
    pub fn files(&self) -> Vec<Vec<u8>> {
        files_below(&self.data())
    }
}
