//! Checksums that an answer gives for its whole content.

#[cfg(feature = "digest")]
pub(crate) use checked::Checksum;
#[cfg(not(feature = "digest"))]
pub(crate) use unchecked::Checksum;

#[cfg(feature = "digest")]
mod checked {
    use std::fmt;

    use aws_lc_rs::digest::{Context, SHA256, SHA512};
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use http::HeaderMap;

    /// The checksum that a body should have, and what of it has come so far.
    pub(crate) struct Checksum {
        expected: Vec<u8>,
        seen: Context,
    }

    impl Checksum {
        /// The strongest checksum that the headers give: `Repr-Digest` and `Content-Digest` (RFC 9530), or
        /// S3's `x-amz-checksum-sha256`. One that cannot be read counts as absent.
        pub(crate) fn given(headers: &HeaderMap) -> Option<Self> {
            let digests = ["repr-digest", "content-digest"].into_iter().flat_map(|name| {
                let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
                values.flat_map(|value| value.split(',')).filter_map(|digest| digest.split_once('='))
            });
            let digests: Vec<(&str, &str)> =
                digests.map(|(name, value)| (name.trim(), value.trim())).collect();
            let of = |wanted: &str| {
                let (_, value) = digests.iter().find(|(name, _)| *name == wanted)?;
                // A byte sequence of structured fields (RFC 9651, 3.3.5), perhaps with parameters.
                value.strip_prefix(':')?.split(':').next()
            };
            let amazon = || headers.get("x-amz-checksum-sha256")?.to_str().ok();
            let (algorithm, encoded) = match of("sha-512") {
                Some(encoded) => (&SHA512, encoded),
                None => (&SHA256, of("sha-256").or_else(amazon)?),
            };
            let expected = BASE64_STANDARD.decode(encoded).ok()?;
            (expected.len() == algorithm.output_len())
                .then(|| Self { expected, seen: Context::new(algorithm) })
        }

        /// Takes note of a piece.
        pub(crate) fn update(&mut self, piece: &[u8]) {
            self.seen.update(piece);
        }

        /// Whether what came is what was announced.
        pub(crate) fn matches(self) -> bool {
            self.seen.finish().as_ref() == self.expected
        }
    }

    impl fmt::Debug for Checksum {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Checksum")
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_strongest_checksum_that_can_be_read_counts() {
            let sha_256 = BASE64_STANDARD.encode([1; 32]);
            let sha_512 = BASE64_STANDARD.encode([2; 64]);
            for (name, value, expected) in [
                ("content-digest", format!("sha-256=:{sha_256}:"), Some(32)),
                (
                    "repr-digest",
                    format!("md5=:AAAA:, sha-256=:{sha_256}:, sha-512=:{sha_512}:;q=1"),
                    Some(64),
                ),
                ("content-digest", "sha-256=:AAAA:".to_owned(), None),
                ("content-digest", format!("sha-256={sha_256}"), None),
                ("content-digest", "sha-256=:?:".to_owned(), None),
                ("x-amz-checksum-sha256", sha_256.clone(), Some(32)),
                ("x-amz-checksum-sha256", format!("{sha_256}-2"), None),
            ] {
                let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
                let length = Checksum::given(&headers).map(|checksum| checksum.expected.len());
                assert_eq!(length, expected, "{name}: {value}");
            }
        }
    }
}

#[cfg(not(feature = "digest"))]
mod unchecked {
    use http::HeaderMap;

    /// Without the feature `digest` no checksum is known.
    #[derive(Debug)]
    pub(crate) enum Checksum {}

    impl Checksum {
        pub(crate) fn given(_: &HeaderMap) -> Option<Self> {
            None
        }

        pub(crate) fn update(&mut self, _: &[u8]) {
            match *self {}
        }

        pub(crate) fn matches(self) -> bool {
            match self {}
        }
    }
}
