//! Servers that stop at TLS 1.1, played in a few raw bytes: no TLS library speaks it any more.
//!
//! The script runs on a server without TLS of its own; the client is sent to
//! [`FaultServer::url_as("https")`](super::FaultServer::url_as).
//!
//! ```
//! use acople_testkit::faults::{Script, old_tls};
//!
//! let script = Script::new().read(5).write(old_tls::server_hello_1_1()).stall(std::time::Duration::from_secs(1));
//! # let _ = script;
//! ```

/// A ServerHello that picks TLS 1.1 (RFC 4346, 7.4.1.3), with a cipher suite of that time.
pub fn server_hello_1_1() -> Vec<u8> {
    let mut hello = vec![0x03, 0x02];
    hello.extend([0x5a; 32]); // random
    hello.push(0); // no session id
    hello.extend([0x00, 0x2f]); // TLS_RSA_WITH_AES_128_CBC_SHA
    hello.push(0); // no compression
    let length = u8::try_from(hello.len()).unwrap_or(0);
    let message = [vec![0x02, 0, 0, length], hello].concat();
    let length = u8::try_from(message.len()).unwrap_or(0);
    [vec![0x16, 0x03, 0x02, 0, length], message].concat()
}

/// The fatal alert by which a server refuses a version of TLS: protocol_version, 70 (RFC 8446, 6.2).
pub fn protocol_version_alert() -> Vec<u8> {
    vec![0x15, 0x03, 0x02, 0, 2, 2, 70]
}
