//! The identity provider.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use acople::Resources;
use acople::http::{HttpTransport, TransportConfig};

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running provider, until dropped.
pub(crate) struct Provider {
    child: Child,
    pub(crate) issuer: String,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("identity-provider");
        assert!(
            folder.join("node_modules").exists(),
            "the identity provider is not installed: run tests/identity-provider/install.sh"
        );
        let mut child = Command::new("node")
            .arg(folder.join("server.js"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node cannot be started: it is needed for the identity provider");
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(PATIENCE);
        let issuer =
            line.as_ref().ok().and_then(|line| line.trim().strip_prefix("ready ")).map(str::to_owned);
        let Some(issuer) = issuer else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the identity provider did not get ready: {line:?}");
        };
        Self { child, issuer }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn resources() -> Resources {
    let config = TransportConfig::default().allow_loopback();
    Resources::new(Arc::new(HttpTransport::new(&config).unwrap()))
}
