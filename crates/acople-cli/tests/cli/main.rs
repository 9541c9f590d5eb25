//! The command as a script sees it: arguments, files and pipes in; lines and exit codes out. The vendors are
//! sandboxes in the test's own process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod auditing;
mod connecting;
mod escaping;
mod invoking;
mod profiling;
mod program;
mod quarantining;
mod reading;
mod stating;
#[cfg(unix)]
mod stopping;
mod syncing;
mod writing;

use std::path::{Path, PathBuf};

use acople_testkit::sandbox::hubspot::Property;
use acople_testkit::sandbox::{self, HubSpot, Record, Salesforce};
use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Acople, acople};

/// A folder with the configs of two sandboxes; their secrets come from the environment.
struct World {
    folder: TempDir,
    salesforce: Salesforce,
    hubspot: HubSpot,
}

impl World {
    async fn new() -> Self {
        Self::with(Salesforce::builder().page_size(50), HubSpot::builder()).await
    }

    async fn with(salesforce: sandbox::salesforce::Builder, hubspot: sandbox::hubspot::Builder) -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            salesforce: salesforce.start().await.unwrap(),
            hubspot: hubspot.start().await.unwrap(),
        };
        world.hubspot.add_property("contacts", Property::text("salesforce_lead_id").unique());
        world.write("salesforce.yaml", &world.salesforce_config());
        world.write("hubspot.yaml", &world.hubspot_config());
        world
    }

    fn salesforce_config(&self) -> String {
        format!(
            "auth:\n  refresh_token:\n    client_id: 3MVG9sandboxconsumerkey\n    client_secret: ${{SF_SECRET}}\n    \
             refresh_token: ${{SF_REFRESH}}\nlogin_url: {}\nlook_back_seconds: 0\n",
            self.salesforce.url()
        )
    }

    fn hubspot_config(&self) -> String {
        format!("auth:\n  token: ${{HS_TOKEN}}\nbase_url: {}\nlook_back_seconds: 0\n", self.hubspot.url())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command with the sandboxes' secrets in its environment.
    fn run<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Acople {
        let (salesforce, hubspot) = (self.salesforce.credentials(), self.hubspot.credentials());
        acople(args)
            .folder(self.folder.path())
            .secret("SF_SECRET", &salesforce.client_secret)
            .secret("SF_REFRESH", &salesforce.refresh_token)
            .secret("HS_TOKEN", &hubspot.private_token)
    }

    /// A command on the Salesforce connection.
    fn salesforce(&self, command: &str) -> Acople {
        let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
        let connection = ["--connector", "salesforce", "--config", "salesforce.yaml"];
        self.run([command].into_iter().chain(rest.split_whitespace()).chain(connection))
    }

    /// A command on the HubSpot connection.
    fn hubspot(&self, command: &str) -> Acople {
        let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
        let connection = ["--connector", "hubspot", "--config", "hubspot.yaml"];
        self.run([command].into_iter().chain(rest.split_whitespace()).chain(connection))
    }

    /// A sync of leads to contacts; `rest` are further lines of the file.
    fn sync_file(&self, rest: &str) -> PathBuf {
        let sync = format!(
            "name: leads\nsource: {{ connector: salesforce, stream: Lead, config_file: salesforce.yaml }}\n\
             destination: {{ connector: hubspot, stream: contacts, config_file: hubspot.yaml }}\n\
             store: {{ path: state.redb }}\n{rest}\n"
        );
        self.write("sync.yaml", &sync)
    }
}

/// The mapping that is needed least.
const MAPPING: &str = "
mapping:
  rules:
    - { from: Id, to: properties.salesforce_lead_id, key: true }
    - { from: Email, to: properties.email, required: true }
    - { from: LastName, to: properties.lastname }
";

fn record(value: Value) -> Record {
    match value {
        Value::Object(record) => record,
        _ => panic!("a record is an object"),
    }
}

fn lead(number: usize) -> Record {
    let email = format!("lead{number}@example.com");
    record(json!({"LastName": format!("Lead {number}"), "Company": "Acme", "Email": email}))
}

fn leads(count: usize) -> impl Iterator<Item = Record> {
    (0..count).map(lead)
}

/// The lines of an output as JSON.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One member of each line.
fn members(text: &str, name: &str) -> Vec<String> {
    let member = |line: &Value| line[name].as_str().unwrap_or_default().to_owned();
    lines(text).iter().map(member).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().exists()
}
