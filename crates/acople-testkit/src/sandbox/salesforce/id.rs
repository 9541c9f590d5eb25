//! Record ids: 15 case-sensitive characters, and the 18 character form that survives systems without case.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18 character id of the `number`th record under a three character prefix. Ids of one prefix sort as their numbers.
pub(crate) fn make(prefix: &str, number: u64) -> String {
    let mut digits = [b'0'; 9];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get(usize::try_from(rest % 62).unwrap_or(0)).copied().unwrap_or(b'0');
        rest /= 62;
    }
    let mut id = format!("{prefix}5g0");
    id.extend(digits.iter().map(|digit| char::from(*digit)));
    let suffix = checksum(&id);
    id.push_str(&suffix);
    id
}

/// The 18 character form of an id of 15 or 18 characters; `None` when the text is no id.
pub(crate) fn to_18(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let short = text.get(..15)?;
    let full = format!("{short}{}", checksum(short));
    (text.len() == 15 || text == full).then_some(full)
}

/// Three characters, each telling which of five characters are upper case.
fn checksum(short: &str) -> String {
    short
        .as_bytes()
        .chunks(5)
        .map(|chunk| {
            let bits = chunk.iter().enumerate().fold(0_usize, |bits, (position, byte)| {
                bits | usize::from(byte.is_ascii_uppercase()) << position
            });
            char::from(CHECKSUM.get(bits).copied().unwrap_or(b'A'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_tells_the_case_of_the_first_fifteen() {
        // A well-known sample pair.
        assert_eq!(to_18("001A0000006Vm9r").as_deref(), Some("001A0000006Vm9rIAC"));
        assert_eq!(to_18("001A0000006Vm9rIAC").as_deref(), Some("001A0000006Vm9rIAC"));
        assert_eq!(to_18("001A0000006Vm9rIAD"), None);
        assert_eq!(to_18("001A0000006Vm9"), None);
        assert_eq!(to_18("001A0000006Vm9\u{e9}"), None);
    }

    #[test]
    fn ids_sort_as_their_numbers() {
        let ids: Vec<_> = [0, 1, 9, 10, 35, 36, 61, 62, 3_844, 1_000_000].map(|n| make("00Q", n)).into();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.len() == 18 && to_18(id).as_ref() == Some(id)));
    }
}
