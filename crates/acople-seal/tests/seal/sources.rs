//! Where keys come from.

use std::process::Command;

use acople_core::{ErrorKind, Secret};
use acople_seal::{EnvironmentKeys, FileKeys, KeySource, Keyring, Sealer};

const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const VARIABLE: &str = "ACOPLE_SEAL_TEST_KEYS";

fn ids(keys: &Keyring) -> Vec<&str> {
    keys.keys().map(acople_seal::MasterKey::id).collect()
}

#[test]
fn keys_are_read_with_the_newest_first() {
    let read = |text: &str| Keyring::parse(&Secret::from(text));
    assert_eq!(ids(&read(ONE).unwrap()), ["default"]);
    assert_eq!(ids(&read(&format!("2026-01 {ONE}")).unwrap()), ["2026-01"]);
    let text = format!("\n# a comment\n 2026-01\t{TWO} \r\n\n2025-01   {ONE}\n");
    assert_eq!(ids(&read(&text).unwrap()), ["2026-01", "2025-01"]);
    assert_eq!(ids(&read(&format!("b {TWO}, a {ONE}")).unwrap()), ["b", "a"]);
}

#[test]
fn sec_07_what_is_no_key_is_refused_without_being_repeated() {
    for text in [
        "",
        "# nothing",
        "CANARY",
        "CANARY CANARY",
        "CANARY AQEB",
        &format!("{ONE} CANARY"),
        &format!("CANARY {ONE}\nCANARY {TWO}"),
        &format!("CANARY{} {ONE}", "x".repeat(64)),
    ] {
        let error = Keyring::parse(&Secret::from(text)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let said = format!("{error:?}");
        assert!(!said.contains("CANARY") && !said.contains("AQEB"), "{said}");
    }
}

#[tokio::test]
async fn keys_come_from_the_variable_that_the_host_names() {
    let missing = EnvironmentKeys::new("ACOPLE_SEAL_NO_SUCH_VARIABLE").keyring().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
    assert!(missing.message().contains("ACOPLE_SEAL_NO_SUCH_VARIABLE is not set"), "{missing}");
    for (value, expected) in
        [(format!("2026-01 {TWO},default {ONE}"), "2026-01 default"), ("CANARY".to_owned(), "refused")]
    {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sources::child", "--nocapture", "--quiet"])
            .env(VARIABLE, value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(&format!("child> {expected}")), "{said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
}

/// Not a test of its own: what the started process does.
#[tokio::test]
#[allow(clippy::disallowed_methods)] // the parent tells the child its role
async fn child() {
    if std::env::var(VARIABLE).is_ok() {
        match EnvironmentKeys::new(VARIABLE).keyring().await {
            Ok(keys) => println!("child> {}", ids(&keys).join(" ")),
            Err(error) => println!("child> refused {error:?}"),
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn keys_come_from_a_file_that_its_owner_alone_can_read() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, format!("2026-01 {TWO}\ndefault {ONE}\n")).unwrap();
    for (mode, alone, grouped) in [
        (0o600, true, true),
        (0o400, true, true),
        (0o640, false, true),
        (0o440, false, true),
        (0o660, false, false),
        (0o604, false, false),
        (0o644, false, false),
        (0o602, false, false),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let keys = FileKeys::new(&path).keyring().await;
        assert_eq!(keys.is_ok(), alone, "{mode:o}");
        assert_eq!(FileKeys::new(&path).allow_group().keyring().await.is_ok(), grouped, "{mode:o}");
        match keys {
            Ok(keys) => assert_eq!(ids(&keys), ["2026-01", "default"]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                let advice = format!("chmod 600 {}", path.display());
                assert!(error.message().contains(&advice), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_file_that_is_none_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let private = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        path
    };
    for (path, said) in [
        (folder.path().join("missing"), "cannot be read"),
        (folder.path().to_owned(), "is not a file"),
        (private("bytes", &[0xff; 40]), "is not text"),
        (private("large", &vec![b'#'; 70_000]), "more than 65536"),
        (private("words", b"CANARY"), "32 bytes in Base64"),
    ] {
        let error = FileKeys::new(&path).keyring().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains(said), "{error} lacks {said}");
        assert!(error.message().contains(&*path.to_string_lossy()), "{error}");
        assert!(!format!("{error:?}").contains("CANARY"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn sec_07_a_rotated_file_gives_a_sealer_that_opens_what_was_sealed_before() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let write = |text: String| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let source = FileKeys::new(&path);
    write(format!("2025 {ONE}"));
    let before = Sealer::from_source(&source).await.unwrap();
    let sealed = before.seal(&crate::PLACE, b"text".to_vec().into()).await.unwrap();
    write(format!("2026 {TWO}\n2025 {ONE}"));
    let after = Sealer::from_source(&source).await.unwrap();
    assert_eq!(*after.open(&crate::PLACE, &sealed).await.unwrap(), b"text");
    assert!(after.needs_rewrap(&sealed));
    write(format!("2026 {TWO}"));
    let without = Sealer::from_source(&source).await.unwrap();
    let error = without.open(&crate::PLACE, &sealed).await.unwrap_err();
    assert!(error.message().contains("\"2025\""), "{error}");
}

#[cfg(feature = "keyring")]
mod keyring {
    use std::sync::Arc;

    use acople_core::ErrorKind;
    use acople_seal::keyring_core::{CredentialStore, Entry, Error as StoreError, mock};
    use acople_seal::{KeySource, KeyringKeys};

    use super::{ONE, TWO, ids};

    #[tokio::test]
    async fn keys_come_from_the_keyring_that_the_host_brings() {
        let store: Arc<CredentialStore> = mock::Store::new().unwrap();
        let source = KeyringKeys::new(store.clone(), "acople", "production");
        let missing = source.keyring().await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Config);
        for part in ["acople", "production", "is not there"] {
            assert!(missing.message().contains(part), "{missing}");
        }
        let entry = Entry::new_in_store(&store, "acople", "production").unwrap();
        entry.set_password(&format!("2026 {TWO}\n2025 {ONE}")).unwrap();
        assert_eq!(ids(&source.keyring().await.unwrap()), ["2026", "2025"]);
    }

    #[tokio::test]
    async fn what_a_keyring_refuses_is_told_without_what_was_in_it() {
        let store: Arc<CredentialStore> = mock::Store::new().unwrap();
        let source = KeyringKeys::new(store.clone(), "acople", "production");
        let entry = Entry::new_in_store(&store, "acople", "production").unwrap();
        entry.set_password(ONE).unwrap();
        let cred: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        for (error, kind, said) in [
            (StoreError::NoStorageAccess("CANARY".into()), ErrorKind::Config, "locked"),
            (StoreError::PlatformFailure("CANARY".into()), ErrorKind::Transient, "failed"),
            (StoreError::BadEncoding(b"CANARY".to_vec()), ErrorKind::Config, "not text"),
        ] {
            cred.set_error(error);
            let error = source.keyring().await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.message().contains(said), "{error}");
            assert!(!format!("{error:?}").contains("CANARY"));
        }
        assert_eq!(ids(&source.keyring().await.unwrap()), ["default"]);
    }
}
