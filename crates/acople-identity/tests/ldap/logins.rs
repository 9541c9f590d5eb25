//! What a login sends, and what it makes of the answers.

use std::time::Duration;

use acople_core::{Error, ErrorKind, Result, Secret};
use acople_identity::ldap::{Attribute, Directory, DirectoryBuilder, Dn, Filter, Groups};
use acople_identity::{Identity, IdentityProvider, Proof};

use crate::fake::{Fake, bind, entry, reference, search, tlv};

const BASE: &str = "ou=people,dc=x";

fn directory(fake: &Fake) -> DirectoryBuilder {
    Directory::builder(fake.url(), BASE)
        .insecure_plain()
        .service_account("cn=svc,dc=x", Secret::from("service-password"))
}

async fn login_to(directory: DirectoryBuilder, user: &str, password: &str) -> Result<Identity> {
    let password = Secret::from(password);
    directory.build().unwrap().identify(&Proof::Password { user, password: &password }).await
}

async fn login(fake: &Fake) -> Result<Identity> {
    login_to(directory(fake), "alice", "alice-password").await
}

fn alice() -> Vec<u8> {
    entry("uid=alice,ou=people,dc=x", &[("entryUUID", &["id-1"]), ("cn", &["Alice"]), ("mail", &["a@x"])])
}

fn refused(result: Result<Identity>, kind: ErrorKind, reason: &str) -> Error {
    let error = result.expect_err(reason);
    assert!(error.kind() == kind && error.message().contains(reason), "not {kind}, {reason:?} but {error}");
    let all = format!("{error} {error:?}");
    assert!(!all.contains("alice-password") && !all.contains("service-password"), "{all}");
    error
}

#[tokio::test]
async fn the_service_account_finds_the_entry_and_the_user_binds_with_it() {
    let fake =
        Fake::answering(vec![bind(0, ""), search(vec![reference("ldap://other/"), alice()], 0), bind(0, "")])
            .await;
    let identity = login(&fake).await.unwrap();
    assert_eq!((identity.subject.as_str(), identity.name.as_deref()), ("id-1", Some("Alice")));
    assert_eq!((identity.email.as_deref(), identity.issuer), (Some("a@x"), fake.url()));
    assert_eq!(identity.claims["dn"], "uid=alice,ou=people,dc=x");
    let asked = fake.asked();
    assert!(fake.was_told(b"service-password") && fake.was_told(b"\xa3\x0c\x04\x03uid\x04\x05alice"));
    let user = [tlv(4, b"uid=alice,ou=people,dc=x"), tlv(0x80, b"alice-password")].concat();
    assert!(asked[2].ends_with(&user), "{:?}", String::from_utf8_lossy(&asked[2]));
}

#[tokio::test]
async fn an_empty_password_or_name_is_refused_before_anything_is_sent() {
    let fake = Fake::answering(vec![bind(0, ""), search(vec![alice()], 0), bind(0, "")]).await;
    refused(login_to(directory(&fake), "alice", "").await, ErrorKind::Reauth, "the password is empty");
    refused(
        login_to(directory(&fake), "", "alice-password").await,
        ErrorKind::Reauth,
        "the password is empty",
    );
    let long = "a".repeat(257);
    refused(
        login_to(directory(&fake), &long, "alice-password").await,
        ErrorKind::Reauth,
        "longer than 256 bytes",
    );
    assert!(fake.asked().is_empty());
    let error = directory(&fake).service_account("cn=svc", Secret::from("")).build().unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["service_account".to_owned()][..]));
}

#[tokio::test]
async fn auth_20_what_was_entered_is_one_value_of_the_request() {
    for name in ["*)(uid=*", r"\2a", "*", "alice)(|(uid=*", "a\0b"] {
        let fake = Fake::answering(vec![bind(0, ""), search(vec![], 0)]).await;
        refused(login_to(directory(&fake), name, "x-password").await, ErrorKind::Reauth, "no such user");
        // (|(uid=value)) within (&...): an equality match of attribute and value, letter by letter.
        let matches = tlv(0xa3, &[tlv(4, b"uid"), tlv(4, name.as_bytes())].concat());
        assert!(fake.was_told(&tlv(0xa0, &tlv(0xa1, &matches))), "{name:?}");
    }
    let fake = Fake::answering(vec![bind(49, "")]).await;
    let directory = Directory::builder(fake.url(), BASE).insecure_plain().bind_directly("uid");
    refused(
        login_to(directory, "a,ou=admins+x", "x-password").await,
        ErrorKind::Reauth,
        "does not accept the password",
    );
    assert!(fake.was_told(&tlv(4, br"uid=a\,ou\=admins\+x,ou=people,dc=x")));
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_service_account_are_told_apart() {
    let fake = Fake::answering(vec![bind(0, ""), search(vec![alice()], 0), bind(49, "")]).await;
    let error = refused(login(&fake).await, ErrorKind::Reauth, "the directory does not accept the password");
    assert_eq!((error.code(), error.operation()), (Some("49"), Some("LDAP login")));
    let fake = Fake::answering(vec![bind(49, "")]).await;
    let error = refused(login(&fake).await, ErrorKind::Config, "the service account cannot log in");
    assert_eq!(error.fields(), ["service_account"]);
    // As Active Directory says it.
    for (data, reason) in
        [("52e", "the password is wrong"), ("533", "the account is disabled"), ("775", "is locked")]
    {
        let text = format!(
            "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {data}, v4563"
        );
        let fake = Fake::answering(vec![bind(0, ""), search(vec![alice()], 0), bind(49, &text)]).await;
        refused(login(&fake).await, ErrorKind::Reauth, reason);
    }
}

#[tokio::test]
async fn a_directory_that_is_away_busy_or_silent_is_worth_another_try() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("ldap://{}", listener.local_addr().unwrap())
    };
    let away = Directory::builder(gone, BASE)
        .insecure_plain()
        .service_account("cn=svc", Secret::from("service-password"));
    refused(login_to(away, "alice", "alice-password").await, ErrorKind::Transient, "cannot be reached");
    let silent = Fake::silent().await;
    let hurried = directory(&silent).timeout(Duration::from_millis(200));
    refused(login_to(hurried, "alice", "alice-password").await, ErrorKind::Timeout, "did not answer in time");
    let closing = Fake::answering(vec![]).await;
    refused(login(&closing).await, ErrorKind::Transient, "ended early");
    for (code, kind) in [(51, ErrorKind::Transient), (52, ErrorKind::Transient), (3, ErrorKind::Timeout)] {
        let fake = Fake::answering(vec![bind(0, ""), search(vec![], code)]).await;
        assert_eq!(login(&fake).await.unwrap_err().kind(), kind, "{code}");
        let fake = Fake::answering(vec![bind(0, ""), search(vec![alice()], 0), bind(code, "")]).await;
        assert_eq!(login(&fake).await.unwrap_err().kind(), kind, "{code}");
    }
}

#[tokio::test]
async fn referrals_are_not_followed() {
    let fake = Fake::answering(vec![bind(0, ""), search(vec![], 10)]).await;
    refused(login(&fake).await, ErrorKind::Config, "refers to another one, which is not followed");
    let fake = Fake::answering(vec![bind(0, ""), search(vec![alice()], 0), bind(10, "")]).await;
    refused(login(&fake).await, ErrorKind::Config, "refers to another one, which is not followed");
    let fake = Fake::answering(vec![bind(0, ""), search(vec![reference("ldap://evil/uid=alice")], 0)]).await;
    refused(login(&fake).await, ErrorKind::Reauth, "there is no such user");
}

#[tokio::test]
async fn exactly_one_entry_has_to_match() {
    let two = || vec![alice(), entry("uid=alice,ou=others,dc=x", &[])];
    for code in [0, 4] {
        let fake = Fake::answering(vec![bind(0, ""), search(two(), code)]).await;
        refused(login(&fake).await, ErrorKind::Config, "more than one entry matches");
        assert!(!fake.was_told(b"alice-password"));
    }
    let fake = Fake::answering(vec![bind(0, ""), search(vec![entry("", &[])], 0)]).await;
    assert!(login(&fake).await.is_err());
    assert!(!fake.was_told(b"alice-password"));
    let nobody = entry("uid=alice,ou=people,dc=x", &[("cn", &["Alice"])]);
    let fake = Fake::answering(vec![bind(0, ""), search(vec![nobody], 0), bind(0, "")]).await;
    refused(login(&fake).await, ErrorKind::Config, "the entry has no entryUUID");
}

#[tokio::test]
async fn groups_come_from_the_entry_or_from_a_search_and_are_bounded() {
    let member =
        entry("uid=alice,dc=x", &[("entryUUID", &["id-1"]), ("memberOf", &["cn=a,dc=x", "cn=b,dc=x"])]);
    let fake = Fake::answering(vec![bind(0, ""), search(vec![member], 0), bind(0, "")]).await;
    let by_attribute = directory(&fake).groups(Groups::Attribute(Attribute::new("memberOf").unwrap()));
    let identity = login_to(by_attribute.clone(), "alice", "alice-password").await.unwrap();
    assert!(identity.groups.iter().eq(["cn=a,dc=x", "cn=b,dc=x"]));
    let result = login_to(by_attribute.max_groups(1), "alice", "alice-password").await;
    refused(result, ErrorKind::TooLarge, "more than 1 groups");

    let groups = vec![entry("cn=a,dc=x", &[("cn", &["a"])]), entry("cn=b,dc=x", &[])];
    let fake = Fake::answering(vec![
        bind(0, ""),
        search(vec![alice()], 0),
        bind(0, ""),
        bind(0, ""),
        search(groups, 0),
    ])
    .await;
    let by_search = directory(&fake).groups(Groups::Search {
        base: Dn::new("ou=groups,dc=x").unwrap(),
        member: Attribute::new("member").unwrap(),
        rule: None,
        name: Attribute::new("cn").unwrap(),
    });
    let identity = login_to(by_search.clone(), "alice", "alice-password").await.unwrap();
    assert!(identity.groups.iter().eq(["a", "cn=b,dc=x"]));
    assert!(fake.was_told(&[tlv(4, b"member"), tlv(4, b"uid=alice,ou=people,dc=x")].concat()));
    let result = login_to(by_search.max_groups(1), "alice", "alice-password").await;
    refused(result, ErrorKind::TooLarge, "more than 1 groups");

    let large = "x".repeat(2_000);
    let fat = entry("uid=alice,dc=x", &[("entryUUID", &["id-1"]), ("cn", &[large.as_str()])]);
    let fake = Fake::answering(vec![bind(0, ""), search(vec![fat], 0), bind(0, "")]).await;
    let result = login_to(directory(&fake).max_bytes(1_000), "alice", "alice-password").await;
    refused(result, ErrorKind::TooLarge, "more than 1000 bytes");
}

#[tokio::test]
async fn active_directory_is_asked_in_its_own_words() {
    let dn = "CN=Alice,CN=Users,DC=x";
    let fake = Fake::answering(vec![
        bind(0, ""),
        search(vec![entry(dn, &[("objectGUID", &["0123456789abcdef"])])], 0),
        bind(0, ""),
    ])
    .await;
    let identity =
        login_to(directory(&fake).active_directory().unwrap(), "alice", "alice-password").await.unwrap();
    assert_eq!(identity.subject, "33323130-3534-3736-3839-616263646566");
    for asked in
        ["sAMAccountName", "userPrincipalName", "1.2.840.113556.1.4.803", "objectCategory", "memberOf"]
    {
        assert!(fake.was_told(asked.as_bytes()), "{asked}");
    }
    assert!(!fake.was_told(b"entryUUID"));
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_an_error_and_no_panic() {
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n".repeat(9),
        tlv(0x30, &[2, 1, 1]),
        tlv(0x30, &[]),
        tlv(0x30, &[&[2, 1, 1][..], &tlv(0x61, &[])].concat()),
        tlv(0x30, &[&[2, 1, 1][..], &tlv(0x61, &[0x0a, 1, 0, 4, 1, 0xff, 4, 0])].concat()),
        tlv(0x30, &[&[4, 1, 1][..], &tlv(0x61, &[0x0a, 1, 0, 4, 0, 4, 0])].concat()),
    ] {
        let fake = Fake::sending(answer.clone()).await;
        let error =
            login_to(directory(&fake).timeout(Duration::from_secs(2)), "alice", "alice-password").await;
        let kind = error.unwrap_err().kind();
        assert!([ErrorKind::Protocol, ErrorKind::Transient].contains(&kind), "{kind} for {answer:?}");
        assert!(!fake.was_told(b"alice-password"));
    }
    for broken in [
        tlv(0x64, &[]),
        tlv(0x64, &tlv(4, b"uid=alice")),
        tlv(0x64, &[tlv(4, b"\xff"), tlv(0x30, &[])].concat()),
    ] {
        let fake = Fake::answering(vec![bind(0, ""), search(vec![broken], 0)]).await;
        assert!(login(&fake).await.is_err());
        assert!(!fake.was_told(b"alice-password"));
    }
}

#[tokio::test]
async fn other_proofs_and_settings_that_cannot_be_right_are_config() {
    let fake = Fake::silent().await;
    let result = directory(&fake).build().unwrap().identify(&Proof::Token(&Secret::from("x"))).await;
    refused(result, ErrorKind::Config, "a directory takes a name and a password");
    let plain = |url: &str| Directory::builder(url, BASE).service_account("cn=svc", Secret::from("p"));
    let fields = |builder: DirectoryBuilder| builder.build().unwrap_err().fields().concat();
    for url in ["http://x", "ldap://", "ldaps://x/dc=y", "ldaps://u@x", "ldaps://x?y", "x"] {
        assert_eq!(fields(plain(url)), "url", "{url}");
    }
    assert_eq!(fields(plain("ldaps://x").insecure_plain()), "insecure_plain");
    assert_eq!(fields(plain("ldaps://x").roots_pem("no certificate")), "roots_pem");
    assert_eq!(fields(plain("ldaps://x").login_by(["uid=*)("])), "login_by");
    assert_eq!(fields(plain("ldaps://x").login_by([""; 0])), "login_by");
    assert_eq!(fields(Directory::builder("ldap://x", BASE).insecure_plain()), "service_account");
    assert!(
        fields(Directory::builder("ldap://x", "people").insecure_plain().bind_directly("uid"))
            .contains("base")
    );
    let shown = format!(
        "{:?} {:?}",
        directory(&fake),
        directory(&fake).restrict(Filter::eq(&Attribute::new("a").unwrap(), "b")).build()
    );
    assert!(!shown.contains("service-password"), "{shown}");
}
