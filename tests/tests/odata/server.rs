//! The OData server, and what it says when it is asked without acople.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// `acople:Welcome1`, the user that may write.
const AUTHORIZATION: &str = "Basic YWNvcGxlOldlbGNvbWUx";

/// A version of OData and how the server shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V2,
    V4,
}

impl Version {
    /// As acople's config has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V4 => "v4",
        }
    }

    /// The path of the service root.
    pub fn root(self) -> String {
        format!("/odata/{}/API_BUSINESS_PARTNER", self.name())
    }
}

/// A running server, until dropped.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    pub fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("odata-server");
        assert!(
            folder.join("node_modules").exists(),
            "the OData server is not installed: run tests/odata-server/install.sh"
        );
        let mut child = Command::new("node")
            .arg(folder.join("server.js"))
            .arg("0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node cannot be started: it is needed for the OData server");
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(PATIENCE);
        let port = line.as_ref().ok().and_then(|line| line.trim().rsplit(':').next()?.parse().ok());
        let Some(port) = port else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the OData server did not get ready: {line:?}");
        };
        Self { child, port }
    }

    /// All rows of a set in the order of their keys, exactly as the server shows them.
    pub fn rows(&self, version: Version, set: &str) -> Vec<Value> {
        let count: usize = self.get(version, &format!("{set}/$count")).parse().unwrap();
        let mut rows = Vec::new();
        while rows.len() < count {
            let page = self.get(version, &format!("{set}?$top=200&$skip={}", rows.len()));
            let mut page: Value = serde_json::from_str(&page).unwrap();
            let found = match version {
                Version::V2 => page["d"]["results"].take(),
                Version::V4 => page["value"].take(),
            };
            let Value::Array(found) = found else { panic!("no rows in {page}") };
            assert!(!found.is_empty(), "{set} ends after {} of {count} rows", rows.len());
            rows.extend(found);
        }
        assert_eq!(rows.len(), count);
        rows
    }

    /// Changes a row, or creates one, through OData 4.0.
    pub fn send(&self, method: &str, path: &str, body: &Value) {
        let (status, answer) = self.request(method, Version::V4, path, &body.to_string());
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
    }

    fn get(&self, version: Version, path: &str) -> String {
        let (status, body) = self.request("GET", version, path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// One request of HTTP/1.0, whose answer ends with the connection.
    fn request(&self, method: &str, version: Version, path: &str, body: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (root, port, length) = (version.root(), self.port, body.len());
        let accept = match version {
            Version::V2 => "application/json",
            Version::V4 => "application/json;IEEE754Compatible=true",
        };
        // A count is plain text.
        let accept = if path.ends_with("$count") { "*/*" } else { accept };
        write!(
            connection,
            "{method} {root}/{path} HTTP/1.0\r\nHost: localhost:{port}\r\nAuthorization: {AUTHORIZATION}\r\n\
             Accept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
