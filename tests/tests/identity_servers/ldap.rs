//! Logins with OpenLDAP.

use std::process::Command;

use acople_core::{ErrorKind, Result, Secret};
use acople_identity::ldap::{Attribute, Directory, DirectoryBuilder, Dn, Filter, Groups};
use acople_identity::{Identity, IdentityProvider, Proof};
use acople_testkit::faults::TestAuthority;

use crate::slapd::{Slapd, directory_at};

/// The user whose name is made of what filters and names have a meaning for.
const STAR: &str = r#"*)(uid=*,+ "x" \2a"#;

async fn login(directory: DirectoryBuilder, user: &str, password: &str) -> Result<Identity> {
    let password = Secret::from(password);
    directory.build().unwrap().identify(&Proof::Password { user, password: &password }).await
}

fn attribute(name: &str) -> Attribute {
    Attribute::new(name).unwrap()
}

#[tokio::test]
async fn a_user_logs_in_over_ldaps_start_tls_and_where_asked_for_in_the_clear() {
    let slapd = Slapd::start();
    let start_tls = directory_at(slapd.ldap()).roots_pem(slapd.roots());
    let plain = directory_at(slapd.ldap()).insecure_plain();
    let mut subjects = Vec::new();
    for directory in [slapd.directory(), start_tls, plain] {
        let directory = directory
            .groups(Groups::Attribute(attribute("memberOf")))
            .claims_from(["departmentNumber", "mail", "userPassword", "nothing"])
            .issuer("people");
        let identity = login(directory.clone(), "alice", "alice-password").await.unwrap();
        assert_eq!((identity.issuer.as_str(), identity.name.as_deref()), ("people", Some("Alice Árbol")));
        assert_eq!(identity.email.as_deref(), Some("alice@example.com"));
        assert_eq!(identity.claims["departmentNumber"], "42");
        assert_eq!(identity.claims["mail"].as_array().unwrap().len(), 2);
        assert!(!identity.claims.contains_key("userPassword"));
        assert_eq!(identity.groups.len(), 2, "{:?}", identity.groups);
        assert!(identity.groups.contains("cn=admins,ou=groups,dc=example,dc=com"));
        assert_eq!(identity.subject.len(), 36, "an entryUUID: {}", identity.subject);
        subjects.push(identity.subject);
        let error = login(directory, "alice", "wrong-password").await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("49")), "{error}");
    }
    subjects.dedup();
    assert_eq!(subjects.len(), 1);
}

#[tokio::test]
async fn a_password_that_is_empty_logs_nobody_in_though_the_directory_would() {
    let slapd = Slapd::start();
    let alice = "uid=alice,ou=people,dc=example,dc=com";
    let bare =
        Command::new("ldapwhoami").args(["-x", "-H", &slapd.ldap(), "-D", alice, "-w", ""]).output().unwrap();
    assert!(
        bare.status.success(),
        "the directory refuses by itself: {}",
        String::from_utf8_lossy(&bare.stderr)
    );
    for directory in [slapd.directory(), direct(&slapd, "uid")] {
        let error = login(directory, "alice", "").await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, None), "{error}");
    }
}

#[tokio::test]
async fn auth_20_a_directory_takes_what_was_entered_for_one_value() {
    let slapd = Slapd::start();
    for name in
        ["*", "a*", "*)(uid=*", r"\2a", r"alic\65", "alice)(uid=alice", "alice\0", "alice,ou=people", "alíce"]
    {
        for directory in [slapd.directory(), direct(&slapd, "uid")] {
            let error = login(directory, name, "alice-password").await.expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Reauth, "{name:?}: {error}");
        }
    }
    // The one whose name it is gets in with it, by search and by name.
    for directory in [slapd.directory(), direct(&slapd, "uid")] {
        let identity = login(directory, STAR, "star-password").await.unwrap();
        assert_eq!(identity.name.as_deref(), Some("Star"));
    }
}

#[tokio::test]
async fn a_user_binds_directly_and_reads_their_own_entry() {
    let slapd = Slapd::start();
    let identity = login(direct(&slapd, "uid"), "bob", "bob-password").await.unwrap();
    assert_eq!(identity.claims["dn"], "uid=bob,ou=people,dc=example,dc=com");
    let error = login(direct(&slapd, "uid"), "bob", "alice-password").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth, "{error}");
    let nobody = direct(&slapd, "uid").restrict(Filter::eq(&attribute("uid"), "carol"));
    let error = login(nobody, "bob", "bob-password").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Reauth && error.message().contains("no such user"), "{error}");
}

#[tokio::test]
async fn groups_are_searched_for_by_the_service_account() {
    let slapd = Slapd::start();
    let directory = slapd.directory().groups(Groups::Search {
        base: Dn::new("ou=groups,dc=example,dc=com").unwrap(),
        member: attribute("member"),
        rule: None,
        name: attribute("cn"),
    });
    let identity = login(directory.clone(), "alice", "alice-password").await.unwrap();
    assert!(identity.groups.iter().eq(["Staff, all", "admins"]), "{:?}", identity.groups);
    let error = login(directory.max_groups(1), "alice", "alice-password").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn what_is_set_up_wrong_is_told_from_a_wrong_password() {
    let mut slapd = Slapd::start();
    let service = |password: &str| {
        Directory::builder(slapd.ldaps(), "ou=people,dc=example,dc=com")
            .roots_pem(slapd.roots())
            .service_account("cn=acople,ou=services,dc=example,dc=com", Secret::from(password))
    };
    let wrong_base = Directory::builder(slapd.ldaps(), "ou=nowhere,dc=example,dc=com")
        .roots_pem(slapd.roots())
        .service_account("cn=acople,ou=services,dc=example,dc=com", Secret::from("service-password"));
    let stranger = TestAuthority::new().unwrap();
    for (directory, kind, reason) in [
        (service("wrong"), ErrorKind::Config, "the service account cannot log in"),
        (wrong_base, ErrorKind::Config, "the base is not in the directory"),
        (
            slapd.directory().subject_from("employeeNumber"),
            ErrorKind::Config,
            "the entry has no employeeNumber",
        ),
        (slapd.directory().roots_pem(stranger.pem()), ErrorKind::Config, "certificate is not trusted"),
        (
            directory_at(slapd.ldap()).roots_pem(stranger.pem()),
            ErrorKind::Config,
            "certificate is not trusted",
        ),
        (slapd.directory().restrict(Filter::eq(&attribute("uid"), "bob")), ErrorKind::Reauth, "no such user"),
    ] {
        let error = login(directory, "alice", "alice-password").await.unwrap_err();
        assert!(
            error.kind() == kind && error.message().contains(reason),
            "not {kind}, {reason:?} but {error}"
        );
    }
    let shared = slapd.directory().login_by(["uid", "mail"]);
    let error = login(shared.clone(), "shared@example.com", "bob-password").await.unwrap_err();
    assert!(error.message().contains("more than one entry matches"), "{error}");
    login(shared, "second@example.com", "alice-password").await.unwrap();
    // Its entry is elsewhere, where nobody follows.
    let error = login(slapd.directory(), "away", "any-password").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Reauth && error.message().contains("no such user"), "{error}");
    slapd.stop();
    let error = login(slapd.directory(), "alice", "alice-password").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
}

/// A directory whose users bind by themselves.
fn direct(slapd: &Slapd, attribute: &str) -> DirectoryBuilder {
    Directory::builder(slapd.ldaps(), "ou=people,dc=example,dc=com")
        .roots_pem(slapd.roots())
        .bind_directly(attribute)
}
