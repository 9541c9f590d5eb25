//! Faults of the wire: a server that plays a script per connection, and a proxy with toxics.
//!
//! A mock server sends complete answers. Real peers also reset, stall, trickle, lie about lengths and present
//! expired certificates; [`FaultServer`] does that on a raw socket of 127.0.0.1, byte by byte as its [`Script`]
//! says. [`Toxics`] stands between a client and any server and spoils the connection while both behave.
//!
//! | to play | use |
//! | --- | --- |
//! | resets, closes, half-closes, stalls | [`Script::reset`], [`Script::close`], [`Script::half_close`], [`Script::stall`] |
//! | slow or endless bodies | [`Script::write_slowly`], [`Script::write_generated`] |
//! | truncated or contradictory answers | [`HttpAnswer`], or plain bytes with [`Script::write`] |
//! | keep-alive | [`Script::repeat`] |
//! | HTTP/2 faults | [`h2`]: frames by hand, with [`Script::h2_accept`] and [`Script::h2_read_request`] |
//! | an old TLS version | [`old_tls`]: the few bytes by which such a server betrays itself |
//! | bad certificates, client certificates | `TestAuthority`, `ServerTls` (feature `tls`) |
//!
//! All of it runs in real time, on real sockets: never on tokio's paused clock. Every loop is bounded in count
//! and time ([`Bounds`]), and everything stops when the server or proxy is dropped.

mod answer;
mod frames;
pub mod h2;
pub mod old_tls;
mod play;
mod record;
mod script;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod toxic;
mod toxics;
mod wire;

pub use answer::HttpAnswer;
pub use record::{Connection, Ending, Received};
pub use script::{Script, Scripts};
pub use server::{Bounds, FaultServer, FaultServerBuilder};
#[cfg(feature = "tls")]
pub use tls::{ServerTls, TestAuthority, TestCertificate};
pub use toxic::{Direction, Toxic};
pub use toxics::Toxics;
