//! HTTP/2 frames as bytes (RFC 9113), to be written by a script.
//!
//! The client numbers its requests 1, 3, 5 and so on in each connection; [`Received::stream`] tells.
//!
//! ```
//! use acople_testkit::faults::{Script, h2};
//!
//! // Answers the first request, then takes no more, then refuses the second.
//! let script = Script::new()
//!     .h2_accept(&[])
//!     .h2_read_request()
//!     .write(h2::answer(1, b"{}"))
//!     .h2_read_request()
//!     .write(h2::rst_stream(3, h2::REFUSED_STREAM));
//! # let _ = script;
//! ```
//!
//! [`Received::stream`]: super::Received::stream

/// What a client sends first, before its SETTINGS (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The connection or stream ends without a fault.
pub const NO_ERROR: u32 = 0x0;
/// The peer broke the protocol.
pub const PROTOCOL_ERROR: u32 = 0x1;
/// The server failed.
pub const INTERNAL_ERROR: u32 = 0x2;
/// The stream was refused before anything was processed.
pub const REFUSED_STREAM: u32 = 0x7;
/// The stream is no longer wanted.
pub const CANCEL: u32 = 0x8;
/// The peer asks too much.
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

/// The setting that bounds streams open at the same time.
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
/// The setting that says how many bytes of body a new stream may bring at first.
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const PRIORITY: u8 = 0x20;

/// A header block that says `:status: 200` and nothing else: entry 8 of the static table (RFC 7541, A).
pub const STATUS_200: &[u8] = &[0x88];

/// Any frame. A payload beyond 2^24 - 1 bytes is cut there.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..0x00ff_ffff).unwrap_or(payload);
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut out = Vec::with_capacity(9 + payload.len());
    out.extend(length.into_iter().skip(1));
    out.extend([kind, flags]);
    out.extend((stream & 0x7fff_ffff).to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// SETTINGS, each a number and a value.
pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(settings.len() * 6);
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// The acknowledgement of the peer's SETTINGS.
pub fn settings_ack() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, &[])
}

/// The head of an answer, as a header block of HPACK, complete in one frame.
pub fn headers(stream: u32, block: &[u8], end_stream: bool) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | if end_stream { END_STREAM } else { 0 }, stream, block)
}

/// A piece of body. At most 16,384 bytes unless the peer allowed more.
pub fn data(stream: u32, bytes: &[u8], end_stream: bool) -> Vec<u8> {
    frame(DATA, if end_stream { END_STREAM } else { 0 }, stream, bytes)
}

/// A whole answer with status 200 and this body, of at most 16,384 bytes.
pub fn answer(stream: u32, body: &[u8]) -> Vec<u8> {
    [headers(stream, STATUS_200, false), data(stream, body, true)].concat()
}

/// Ends one stream.
pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// Ends the connection: streams above `last_stream` were not processed.
pub fn go_away(last_stream: u32, code: u32) -> Vec<u8> {
    let mut payload = last_stream.to_be_bytes().to_vec();
    payload.extend(code.to_be_bytes());
    frame(GOAWAY, 0, 0, &payload)
}

/// Allows `bytes` more of body; on stream 0, for the connection.
pub fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// Asks whether the peer is alive.
pub fn ping(data: [u8; 8]) -> Vec<u8> {
    frame(PING, 0, 0, &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_laid_out_as_the_rfc_says() {
        assert_eq!(settings_ack(), [0, 0, 0, 4, 1, 0, 0, 0, 0]);
        assert_eq!(settings(&[(3, 100)]), [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]);
        assert_eq!(go_away(1, NO_ERROR)[..9], [0, 0, 8, 7, 0, 0, 0, 0, 0]);
        assert_eq!(rst_stream(3, REFUSED_STREAM), [0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 7]);
        assert_eq!(headers(1, STATUS_200, true), [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]);
        assert_eq!(data(1, &[7; 300], false)[..9], [0, 1, 44, 0, 0, 0, 0, 0, 1]);
    }
}
