//! What a refusal says about the credentials (RFC 6750, 3).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Longest list of scopes that goes into a message, in characters.
const LONGEST: usize = 200;

/// The scopes that a request would have needed, when the vendor names them: `WWW-Authenticate: Bearer
/// error="insufficient_scope", scope="orders"`.
pub(crate) fn missing_scope(headers: &HeaderMap) -> Option<String> {
    headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).find_map(|challenge| {
        let scope = parameter(challenge, "scope")?;
        (parameter(challenge, "error")? == "insufficient_scope" && !scope.is_empty())
            .then(|| scope.chars().take(LONGEST).collect())
    })
}

/// A parameter's value between quotes; scopes and codes have neither quotes nor backslashes (RFC 6750, 3).
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    challenge.match_indices(name).find_map(|(at, _)| {
        let begins = challenge.get(..at)?.ends_with([' ', ',']);
        let value = challenge.get(at + name.len()..)?.trim_start().strip_prefix('=')?;
        let (value, _) = value.trim_start().strip_prefix('"')?.split_once('"')?;
        begins.then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn auth_16_the_scope_is_read_where_the_vendor_names_it() {
        let read = |challenge: &'static str| {
            let value = HeaderValue::from_static(challenge);
            missing_scope(&HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]))
        };
        let named = Some("orders".to_owned());
        assert_eq!(read(r#"Bearer error="insufficient_scope", scope="orders""#), named);
        assert_eq!(read(r#"Bearer realm="x",scope = "orders" , error="insufficient_scope""#), named);
        assert_eq!(read(r#"Bearer error="insufficient_scope", scope="a b""#), Some("a b".to_owned()));
        for silent in [
            r#"Bearer error="invalid_token", scope="orders""#,
            r#"Bearer error="insufficient_scope""#,
            r#"Bearer error="insufficient_scope", scope="""#,
            r#"Bearer error="insufficient_scope", xscope="orders""#,
            r#"Bearer error="insufficient_scope", scope="orders"#,
            "Basic",
            "",
        ] {
            assert_eq!(read(silent), None, "{silent}");
        }
    }
}
