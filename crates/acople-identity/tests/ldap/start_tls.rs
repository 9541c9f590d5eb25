//! `ldap://` begins in the clear: nothing that matters may be said, and nothing believed, before TLS.

use std::time::Duration;

use acople_core::{ErrorKind, Secret};
use acople_identity::ldap::Directory;
use acople_identity::{IdentityProvider, Proof};

use crate::fake::{Fake, bind, extended, tlv};

async fn login(fake: &Fake) -> ErrorKind {
    let authority = acople_testkit::faults::TestAuthority::new().unwrap();
    let directory = Directory::builder(fake.url(), "dc=x")
        .service_account("cn=svc", Secret::from("service-password"))
        .roots_pem(authority.pem())
        .timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let password = Secret::from("alice-password");
    directory.identify(&Proof::Password { user: "alice", password: &password }).await.unwrap_err().kind()
}

#[tokio::test]
async fn without_tls_no_password_is_sent() {
    for (answer, kind) in [
        (extended(0), None), // and then no TLS
        (extended(2), Some(ErrorKind::Config)),
        (extended(52), Some(ErrorKind::Config)),
        // What comes before TLS is no answer to what is asked after it.
        (
            [extended(0), tlv(0x30, &[&[2, 1, 2][..], &bind(0, "")[0]].concat())].concat(),
            Some(ErrorKind::Protocol),
        ),
        (tlv(0x30, &[2, 1, 2]), Some(ErrorKind::Protocol)),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Some(ErrorKind::Protocol)),
        // Deeper than a reader without bounds could stand, and longer than anybody needs.
        ([0x30, 0x82, 0xff, 0xff].repeat(5_000), Some(ErrorKind::Protocol)),
        ([vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], vec![0x30; 8_000]].concat(), Some(ErrorKind::Protocol)),
        (vec![0x30, 0x84], Some(ErrorKind::Timeout)),
    ] {
        let fake = Fake::sending(answer).await;
        let found = login(&fake).await;
        assert!(kind.is_none_or(|kind| kind == found), "{found} is not {kind:?}");
        assert!(!fake.was_told(b"password"));
        assert!(fake.asked()[0].ends_with(b"1.3.6.1.4.1.1466.20037"));
    }
}
