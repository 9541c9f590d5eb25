//! Values in filters and in names, read back by small parsers that share nothing with what wrote them.

use acople_core::ErrorKind;
use acople_identity::ldap::{Attribute, Dn, Filter};
use proptest::prelude::{any, prop_assert_eq, proptest};

/// A filter as a reader understands it (RFC 4515).
#[derive(Debug, PartialEq)]
enum Read {
    And(Vec<Read>),
    Or(Vec<Read>),
    Not(Box<Read>),
    /// Attribute and operator, and the pieces of the value between asterisks.
    Item(String, Vec<Vec<u8>>),
}

fn read_filter(text: &str) -> Read {
    let (filter, rest) = filter(text.as_bytes());
    assert!(rest.is_empty(), "{text} does not end where it should");
    filter
}

fn filter(text: &[u8]) -> (Read, &[u8]) {
    let text = text.strip_prefix(b"(").expect("a filter begins with a parenthesis");
    match text[0] {
        b'&' | b'|' => {
            let (mut parts, mut rest) = (Vec::new(), &text[1..]);
            while rest[0] == b'(' {
                let (part, after) = filter(rest);
                parts.push(part);
                rest = after;
            }
            let read = if text[0] == b'&' { Read::And(parts) } else { Read::Or(parts) };
            (read, rest.strip_prefix(b")").unwrap())
        }
        b'!' => {
            let (part, rest) = filter(&text[1..]);
            (Read::Not(Box::new(part)), rest.strip_prefix(b")").unwrap())
        }
        _ => item(text),
    }
}

fn item(text: &[u8]) -> (Read, &[u8]) {
    let equals = text.iter().position(|&b| b == b'=').unwrap();
    let name = String::from_utf8(text[..=equals].to_vec()).unwrap();
    let (mut pieces, mut at) = (vec![Vec::new()], equals + 1);
    loop {
        match text[at] {
            b')' => return (Read::Item(name, pieces), &text[at + 1..]),
            b'(' => panic!("a parenthesis opens inside a value"),
            b'*' => pieces.push(Vec::new()),
            b'\\' => {
                let digits = std::str::from_utf8(&text[at + 1..at + 3]).unwrap();
                pieces.last_mut().unwrap().push(u8::from_str_radix(digits, 16).unwrap());
                at += 2;
            }
            byte => pieces.last_mut().unwrap().push(byte),
        }
        at += 1;
    }
}

/// A name as a reader understands it (RFC 4514): attributes and values, the entry's own first.
fn read_dn(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let equals = rest.iter().position(|&b| b == b'=').unwrap();
        let name = String::from_utf8(rest[..equals].to_vec()).unwrap();
        let (mut value, mut at, mut plain) = (Vec::new(), equals + 1, 0);
        while at < rest.len() && rest[at] != b',' {
            assert!(!b"\"+;<>\0".contains(&rest[at]), "a special character stands alone");
            if rest[at] != b'\\' {
                // What a reader trims and takes for a number sign's form.
                assert!(!(value.is_empty() && b" #".contains(&rest[at])), "begins with a space or #");
                value.push(rest[at]);
                plain = at;
            } else if rest[at + 1].is_ascii_hexdigit() {
                let digits = std::str::from_utf8(&rest[at + 1..at + 3]).unwrap();
                value.push(u8::from_str_radix(digits, 16).unwrap());
                at += 2;
            } else {
                value.push(rest[at + 1]);
                at += 1;
            }
            at += 1;
        }
        assert!(!(at == plain + 1 && rest[plain] == b' '), "ends with a space");
        pairs.push((name, String::from_utf8(value).unwrap()));
        if at == rest.len() {
            return pairs;
        }
        rest = &rest[at + 1..];
    }
}

fn attribute(name: &str) -> Attribute {
    Attribute::new(name).unwrap()
}

fn equals(name: &str, value: &[u8]) -> Read {
    Read::Item(format!("{name}="), vec![value.to_vec()])
}

#[test]
fn auth_20_known_attacks_stay_values() {
    for (value, written) in [
        ("*)(uid=*", r"(uid=\2a\29\28uid=\2a)"),
        (r"\2a", r"(uid=\5c2a)"),
        ("*", r"(uid=\2a)"),
        ("admin)(|(password=*", r"(uid=admin\29\28|\28password=\2a)"),
        ("alice\0)(cn=x", r"(uid=alice\00\29\28cn=x)"),
        ("", "(uid=)"),
        ("Müller & Söhne", r"(uid=M\c3\bcller & S\c3\b6hne)"),
        ("plain", "(uid=plain)"),
    ] {
        let filter = Filter::eq(&attribute("uid"), value);
        assert_eq!(filter.to_string(), written);
        assert_eq!(read_filter(written), equals("uid", value.as_bytes()));
    }
    for (value, written) in [
        ("Smith, John", r"cn=Smith\, John,dc=x"),
        ("a,ou=admins", r"cn=a\,ou\=admins,dc=x"),
        ("a+uid=root", r"cn=a\+uid\=root,dc=x"),
        (" #x# ", r"cn=\ #x#\ ,dc=x"),
        ("#04", r"cn=\#04,dc=x"),
        (" ", r"cn=\ ,dc=x"),
        (r"\2C", r"cn=\\2C,dc=x"),
        ("a\0b\n", r"cn=a\00b\0a,dc=x"),
        ("\"<;>", r#"cn=\"\<\;\>,dc=x"#),
        ("é*()", "cn=é*(),dc=x"),
    ] {
        let dn = Dn::new("dc=x").unwrap().child(&attribute("cn"), value);
        assert_eq!(dn.to_string(), written);
        assert_eq!(read_dn(written)[0], ("cn".to_owned(), value.to_owned()));
    }
}

proptest! {
    #[test]
    fn auth_20_a_filter_reads_as_it_was_built(value in any::<Vec<u8>>(), text in any::<String>(), attack in r"[*()\\&|!=~<>:;, #a\x00]{0,20}") {
        let (uid, class) = (attribute("uid"), attribute("objectClass"));
        for value in [value.as_slice(), text.as_bytes(), attack.as_bytes()] {
            let filter = Filter::and([
                Filter::eq(&class, "person"),
                Filter::or([Filter::eq(&uid, value), Filter::not(Filter::at_least(&uid, value))]),
            ]);
            let read = Read::And(vec![
                equals("objectClass", b"person"),
                Read::Or(vec![
                    equals("uid", value),
                    Read::Not(Box::new(Read::Item("uid>=".to_owned(), vec![value.to_vec()]))),
                ]),
            ]);
            prop_assert_eq!(read_filter(&filter.to_string()), read);
            // The library that sends it has a parser of its own, which takes it.
            assert!(ldap3::parse_filter(filter.to_string()).is_ok());
        }
    }

    #[test]
    fn auth_20_parts_and_rules_read_as_they_were_built(value in any::<Vec<u8>>()) {
        let (cn, rule) = (attribute("cn"), attribute("1.2.840.113556.1.4.1941"));
        let item = |name: &str, pieces: &[&[u8]]| Read::Item(name.to_owned(), pieces.iter().map(|p| p.to_vec()).collect());
        let value = value.as_slice();
        prop_assert_eq!(read_filter(&Filter::starts_with(&cn, value).to_string()), item("cn=", &[value, b""]));
        prop_assert_eq!(read_filter(&Filter::ends_with(&cn, value).to_string()), item("cn=", &[b"", value]));
        prop_assert_eq!(read_filter(&Filter::at_most(&cn, value).to_string()), item("cn<=", &[value]));
        prop_assert_eq!(read_filter(&Filter::present(&cn).to_string()), item("cn=", &[b"", b""]));
        prop_assert_eq!(
            read_filter(&Filter::matching(&cn, &rule, value).to_string()),
            item("cn:1.2.840.113556.1.4.1941:=", &[value])
        );
        if !value.is_empty() {
            prop_assert_eq!(read_filter(&Filter::contains(&cn, value).to_string()), item("cn=", &[b"", value, b""]));
        }
    }

    #[test]
    fn auth_20_a_name_reads_as_it_was_built(text in any::<String>(), attack in "[,+\"\\\\<>;=# a\\x00\\n]{0,20}") {
        for value in [text, attack] {
            let dn = Dn::new("ou=people,dc=example").unwrap().child(&attribute("uid"), &value);
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let whole = vec![pair("uid", &value), pair("ou", "people"), pair("dc", "example")];
            prop_assert_eq!(read_dn(dn.as_str()), whole);
            prop_assert_eq!(&Dn::new(dn.as_str()).unwrap(), &dn);
        }
    }

    #[test]
    fn auth_20_no_text_becomes_an_attribute_that_a_filter_would_read_otherwise(text in any::<String>(), near in "[a-z0-9.;=*()-]{0,12}") {
        for text in [text, near] {
            if let Ok(attribute) = Attribute::new(&text) {
                prop_assert_eq!(read_filter(&Filter::eq(&attribute, "x").to_string()), equals(&text, b"x"));
            }
        }
    }
}

#[test]
fn what_is_no_attribute_and_no_name_is_refused() {
    for text in ["", "uid=*)(cn", "uid ", "1", "1.02", "-a", "a b", "a;", "a;;b", "é", "a=", "uid;x)(y"] {
        assert_eq!(Attribute::new(text).unwrap_err().kind(), ErrorKind::Config, "{text}");
    }
    for text in ["uid", "cn;lang-en", "0.9.2342", "2.5.4.3", "userCertificate;binary"] {
        assert_eq!(Attribute::new(text).unwrap().to_string(), text);
    }
    for text in ["", "people", "ou=people,", "ou=a;b", "ou=a\\", "ou=\\zz", "=x", "ou=\"x\""] {
        assert_eq!(Dn::new(text).unwrap_err().kind(), ErrorKind::Config, "{text}");
    }
    assert!(Dn::new(r"cn=Smith\, J\C3\A9r\+x+uid=1, ou=people, dc=example").is_ok());
}
