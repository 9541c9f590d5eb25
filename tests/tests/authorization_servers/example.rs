//! The example host as a process of its own, the real server, and a browser between them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::Browser;
use crate::process::Process;
use crate::server::Server;

/// Base64 of 32 bytes.
const MASTER_KEY: &str = "c2l4dGVlbiBwbHVzIHNpeHRlZW4gcmFuZG9tIGJ5dGU=";

/// The host, and where its store lies.
struct Host {
    _process: Process,
    address: String,
    _folder: tempfile::TempDir,
    store: PathBuf,
}

/// Both know each other: the server the redirect URL, the host the issuer.
fn start() -> (Server, Host) {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("examples/connect_account");
    assert!(
        program.is_file(),
        "the example is not built: cargo build -p acople-examples --example connect_account"
    );
    // Free a moment ago: the server has to know the address before the host can be started.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = Server::start(&[&format!("http://{address}/callback")]);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("accounts.redb");
    let arguments = ["--issuer", &server.issuer, "--client-id", "web-basic", "--listen", &address];
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["--scope", "openid contacts orders"])
        .arg("--store")
        .arg(&store)
        .env("CONNECT_CLIENT_SECRET", "s3cret-basic")
        .env("CONNECT_MASTER_KEY", MASTER_KEY);
    let (process, address) = Process::start(&mut command, "ready ");
    (server, Host { _process: process, address, _folder: folder, store })
}

async fn sign_in(browser: &Browser) {
    browser.type_in("#login", "jo").await;
    browser.type_in("#password", "Welcome1").await;
    browser.click("#submit").await;
}

#[tokio::test]
async fn a_person_connects_and_disconnects_an_account_in_a_browser() {
    let (server, host) = start();
    let browser = Browser::start().await;
    browser.open(&format!("{}/accounts", host.address)).await;
    browser.click("#connect").await;
    // A wrong password first: the server's own affair, of which the host hears nothing.
    browser.type_in("#login", "jo").await;
    browser.type_in("#password", "wrong").await;
    browser.click("#submit").await;
    assert_eq!(browser.text("#fault:not(:empty)").await, "Wrong user or password.");
    assert!(browser.address().await.starts_with(&server.issuer));
    sign_in(&browser).await;
    // The consent page, where the user keeps one of the two scopes.
    browser.click("#scope-orders").await;
    browser.click("#submit").await;
    assert_eq!(browser.text("#account").await, "example: connected jo, scope openid contacts");
    let address = browser.address().await;
    assert!(address.starts_with(&host.address) && !address.contains("code="), "{address}");
    let cookies = browser.cookies().await;
    let session = cookies.iter().find(|cookie| cookie["name"] == "session").expect("the host's cookie");
    assert_eq!((&session["httpOnly"], &session["sameSite"]), (&true.into(), &"Lax".into()));
    assert_eq!(server.token_calls("authorization_code").await, [200]);
    let file = String::from_utf8_lossy(&std::fs::read(&host.store).unwrap()).into_owned();
    assert!(
        file.contains("customer-1") && !file.contains("contacts"),
        "tokens and what came with them are encrypted"
    );

    browser.click("#disconnect").await;
    assert!(browser.text("#none").await.starts_with("None."));
    // Connected once more: the server knows the user, and nothing is left of the first grant but the login.
    browser.click("#connect").await;
    browser.click("#submit").await;
    assert_eq!(browser.text("#account").await, "example: connected jo, scope openid contacts orders");
    assert_eq!(server.token_calls("authorization_code").await, [200, 200]);
    browser.quit().await;
}

#[tokio::test]
async fn a_person_who_declines_stays_unconnected_and_is_told_why() {
    let (server, host) = start();
    let browser = Browser::start().await;
    browser.open(&format!("{}/connect/example", host.address)).await;
    sign_in(&browser).await;
    browser.click("#decline").await;
    assert!(browser.text("#fault").await.contains("declined"));
    browser.open(&format!("{}/accounts", host.address)).await;
    assert!(browser.text("#none").await.starts_with("None."));
    assert_eq!(server.token_calls("authorization_code").await, Vec::<u64>::new());
    browser.quit().await;
}

#[tokio::test]
async fn auth_14_the_way_back_of_one_browser_is_worth_nothing_in_another() {
    let (server, host) = start();
    let (victim, thief) = (Browser::start().await, Browser::start().await);
    // Both have a session at the host, and the thief has a flow of his own.
    thief.open(&format!("{}/connect/example", host.address)).await;
    thief.text("#login").await;
    victim.open(&format!("{}/connect/example", host.address)).await;
    sign_in(&victim).await;
    victim.text("#submit").await;
    // What the server would send the victim back with, sent by the thief: forged, since the real one is not seen.
    let forged = format!("{}/callback?code=c0de&state=AAAA&iss={}", host.address, server.issuer);
    thief.open(&forged).await;
    assert!(thief.text("#fault").await.contains("does not belong to a flow of this session"));
    victim.click("#submit").await;
    assert_eq!(victim.text("#account").await, "example: connected jo, scope openid contacts orders");
    assert_eq!(server.token_calls("authorization_code").await, [200]);
    thief.quit().await;
    victim.quit().await;
}
