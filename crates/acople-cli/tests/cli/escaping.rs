//! What a vendor says cannot move the cursor, forge a line of the log or reorder what a terminal shows.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{World, acople};

/// A forged line, colours, a cleared screen, C1 codes, separators and a bidirectional override.
const HOSTILE: &str =
    "no\nERROR forged\r\u{1b}[2J\u{1b}[31m\u{9b}31m\u{7f}\u{8}\u{2028}\u{2029}\u{202e}txt\u{2066}\0end";

/// A HubSpot that answers everything with an error in its own words.
async fn hostile_vendor() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body =
        json!({ "status": "error", "message": HOSTILE, "category": HOSTILE, "correlationId": HOSTILE });
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.to_string().len()
    );
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut seen = [0; 4096];
            let _ = socket.read(&mut seen).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_09_control_characters_of_a_vendor_are_escaped_in_everything_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "auth": { "token": "pat-na1-x" }, "base_url": hostile_vendor().await });
    std::fs::write(folder.path().join("hubspot.json"), config.to_string()).unwrap();
    let connection = ["--connector", "hubspot", "--config", "hubspot.json"];
    for command in [
        &["check"][..],
        &["discover"],
        &["read", "--stream", "contacts"],
        &["--log", "trace", "read", "--stream", "contacts"],
        &["--log", "trace", "--json", "check"],
    ] {
        let args = command.iter().chain(&connection).copied();
        let ran = acople(args).folder(folder.path()).done().await;
        assert_ne!(ran.code, 0, "{command:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("forged"), "{command:?}: the vendor's words are told: {said}");
        assert!(said.lines().all(|line| !line.starts_with("ERROR forged")), "{command:?}: {said}");
        let raw = said.chars().find(|c| {
            (c.is_control() && *c != '\n') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        });
        assert_eq!(raw, None, "{command:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn host_06_everything_that_is_wrong_with_a_config_file_is_told_before_anything_is_sent() {
    let world = World::new().await;
    world.write("hubspot.yaml", "auth:\n  token: 7\nbaseurl: x\ntier: gold\n");
    let error = world.hubspot("check").done().await.failed(2);
    assert!(["auth.token", "baseurl", "tier"].iter().all(|field| error.contains(field)), "{error}");
    world.write("hubspot.yaml", "auth:\n  token: ${NO_SUCH_TOKEN}\nbase_url: ${NO_SUCH_URL}\n");
    let error = world.hubspot("check").done().await.failed(2);
    assert!(
        ["auth.token", "base_url", "NO_SUCH_TOKEN", "NO_SUCH_URL"].iter().all(|word| error.contains(word)),
        "{error}"
    );
}
