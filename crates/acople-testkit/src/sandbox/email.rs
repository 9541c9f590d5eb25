//! Which texts pass for an e-mail address.

/// A plain address: one local part, one `@`, a domain of at least two labels, all in ASCII. Both vendors are somewhat
/// more lenient; what passes here passes there.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte));
    let label_ok = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    local_ok && domain.contains('.') && domain.split('.').all(label_ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in ["a@b.co", "first.last+tag@mail.example.org", "o'neil@x-y.de"] {
            assert!(is_email(good), "{good}");
        }
        for bad in
            ["", "not-an-email", "@b.co", "a@", "a@b", "a@@b.co", "a b@c.de", "a@b..co", ".a@b.co", "a@-b.co"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
