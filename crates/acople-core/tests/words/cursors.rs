//! Cursors: opaque, versioned, bounded.

use acople_core::{Cursor, ErrorKind};

#[test]
fn state_06_a_cursor_goes_back_to_the_one_who_made_it_and_to_nobody_else() {
    let cursor = Cursor::new("crm", "contacts", 2, &("2026-01-01", 7)).unwrap();
    let cursor = Cursor::from_json(&cursor.to_json().unwrap()).unwrap();
    let state = |connector, stream, version| cursor.state::<(String, u64)>(connector, stream, version);
    assert_eq!(state("crm", "contacts", 2).unwrap(), ("2026-01-01".to_owned(), 7));
    assert!(state("crm", "contacts", 3).is_ok(), "an older one is read");
    for (connector, stream, version, kind) in [
        ("erp", "contacts", 2, ErrorKind::Config),
        ("crm", "companies", 2, ErrorKind::Config),
        ("crm", "contacts", 1, ErrorKind::CursorExpired),
    ] {
        assert_eq!(state(connector, stream, version).unwrap_err().kind(), kind);
    }
    assert_eq!(cursor.state::<Vec<u8>>("crm", "contacts", 2).unwrap_err().kind(), ErrorKind::CursorExpired);
    assert!(!format!("{cursor:?}").contains("2026"), "what it holds is the connector's business");
}

#[test]
fn a_cursor_has_a_limit() {
    assert!(Cursor::new("c", "s", 1, &"x".repeat(60 << 10)).is_ok());
    assert_eq!(Cursor::new("c", "s", 1, &"x".repeat(64 << 10)).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn what_is_no_cursor_is_refused() {
    for text in ["", "{", "null", "[]", r#"{"connector":"c"}"#, r#""c""#] {
        assert_eq!(Cursor::from_json(text).unwrap_err().kind(), ErrorKind::CursorExpired, "{text}");
    }
}
