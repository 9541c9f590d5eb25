//! What our providers sign, checked by libraries that are not ours: PyJWT, google-auth, oauthlib, botocore, and Python's
//! own hmac.
//!
//! Behind the feature `servers`: needs Python and what tests/independent/install.sh installs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

mod checker;
mod digests;
mod jwts;
mod keys;
mod requests;
