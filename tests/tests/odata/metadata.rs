//! Published descriptions of services: all of them are understood.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use acople::sap::{Auth, Config, Protocol, Sap};
use acople::{Connector, Context, ReadMode, Resources, Secret};
use acople_testkit::{Reply, ScriptedTransport};

/// Sets whose types have no key.
const KEYLESS: [&str; 2] = ["A_TestEntityWithNoKeys", "EnumTests"];

#[tokio::test]
async fn every_published_service_description_gives_a_stream_for_each_entity_set() {
    let mut seen = 0;
    let folder = descriptions();
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| {
        panic!("{} cannot be read ({e}): set ACOPLE_SHARED to the folder above specs/sap", folder.display())
    });
    for file in files {
        let path = file.unwrap().path();
        if !path.extension().is_some_and(|end| end == "edmx" || end == "xml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let protocol = if text.contains("Version=\"4.0\"") { Protocol::V4 } else { Protocol::V2 };
        let auth = Auth::Bearer { token: Secret::from("token") };
        let config = Config::new("https://service.example.com/root", auth).with_protocol(protocol);
        let sets = text.matches("<EntitySet ").count();
        let reply = Reply::new(200, text).header("content-type", "application/xml");
        let transport = ScriptedTransport::new([reply]);
        let sap = Sap::new(config, &Resources::new(Arc::new(transport))).unwrap();
        let catalog =
            sap.discover(&Context::new()).await.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(sets > 0, "{}", path.display());
        assert_eq!(catalog.streams.len(), sets, "{}", path.display());
        for stream in &catalog.streams {
            let properties = stream.schema["properties"].as_object();
            assert!(
                properties.is_some_and(|properties| !properties.is_empty()),
                "{} {} has no fields",
                path.display(),
                stream.name
            );
            let keyless = KEYLESS.contains(&stream.name.as_str());
            assert_eq!(stream.key.is_empty(), keyless, "{} {}", path.display(), stream.name);
            assert!(stream.reads.is_empty() || stream.can_read(ReadMode::Full));
        }
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} descriptions in {}", folder.display());
}

#[allow(clippy::disallowed_methods, reason = "a test is told where the descriptions are")]
fn descriptions() -> PathBuf {
    let shared = std::env::var_os("ACOPLE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    shared.join("specs/sap")
}
