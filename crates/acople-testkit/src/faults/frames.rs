//! Reads HTTP/2 as far as a script needs it: which requests came, on which streams.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::h2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PREFACE, PRIORITY, SETTINGS,
    frame, settings_ack, window_update,
};
use super::play::Player;
use super::record::Ending;

/// The largest frame that a peer may send unasked, and some more for peers that err (RFC 9113, 4.2).
const FRAME: usize = 64 * 1024;

/// Open streams and the requests they carry.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Stream, place of its request in the server's list.
    open: BTreeMap<u32, usize>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Bytes,
}

impl Frame {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload without padding and priority.
    fn content(&self) -> Result<Bytes, Ending> {
        let mut payload = self.payload.clone();
        let mut padding = 0;
        if self.has(PADDED) {
            padding = usize::from(*payload.first().ok_or(Ending::Unreadable)?);
            payload = payload.slice(1..);
        }
        if self.kind == HEADERS && self.has(PRIORITY) {
            if payload.len() < 5 {
                return Err(Ending::Unreadable);
            }
            payload = payload.slice(5..);
        }
        let end = payload.len().checked_sub(padding).ok_or(Ending::Unreadable)?;
        Ok(payload.slice(..end))
    }
}

impl Player {
    pub(crate) async fn h2_accept(&mut self, settings: &[u8]) -> Result<(), Ending> {
        let preface = self.wire.take(PREFACE.len()).await?;
        if preface != PREFACE {
            return Err(Ending::Unreadable);
        }
        self.wire.write(settings).await
    }

    /// Reads frames until a request's head, or the whole request, has come.
    pub(crate) async fn h2_read(&mut self, whole: bool) -> Result<(), Ending> {
        // The script's time bounds the loop: a peer may send any number of frames.
        loop {
            let frame = self.frame().await?;
            let ended = match frame.kind {
                SETTINGS if !frame.has(ACK) => {
                    self.wire.write(&settings_ack()).await?;
                    continue;
                }
                PING if !frame.has(ACK) => {
                    self.wire.write(&pong(&frame.payload)).await?;
                    continue;
                }
                HEADERS => {
                    self.h2_head(&frame).await?;
                    if !whole {
                        return Ok(());
                    }
                    frame.has(END_STREAM)
                }
                DATA => {
                    let Some(request) = self.frames.open.get(&frame.stream).copied() else { continue };
                    self.site.keep(request, &frame.content()?);
                    let bytes = u32::try_from(frame.payload.len()).unwrap_or(0);
                    if whole && bytes > 0 {
                        let windows = [window_update(0, bytes), window_update(frame.stream, bytes)].concat();
                        self.wire.write(&windows).await?;
                    }
                    frame.has(END_STREAM)
                }
                _ => continue,
            };
            if ended && let Some(request) = self.frames.open.remove(&frame.stream) {
                self.site.complete(request);
                self.current = Some(request);
                if whole {
                    return Ok(());
                }
            }
        }
    }

    async fn h2_head(&mut self, first: &Frame) -> Result<(), Ending> {
        let mut block = BytesMut::from(&first.content()?[..]);
        let mut ended = first.has(END_HEADERS);
        while !ended {
            let more = self.frame().await?;
            if more.kind != CONTINUATION || block.len() + more.payload.len() > self.site.bounds.head {
                return Err(Ending::Unreadable);
            }
            ended = more.has(END_HEADERS);
            block.put(more.payload);
        }
        let received = self.site.received(self.number, block.freeze(), Some(first.stream));
        let at = self.site.record(received, &self.live);
        self.current = Some(at);
        self.frames.open.insert(first.stream, at);
        Ok(())
    }

    async fn frame(&mut self) -> Result<Frame, Ending> {
        let head = self.wire.take(9).await?;
        let [a, b, c, kind, flags, s0, s1, s2, s3] = head[..] else { return Err(Ending::Unreadable) };
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        if length > FRAME {
            return Err(Ending::Unreadable);
        }
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        Ok(Frame { kind, flags, stream, payload: self.wire.take(length).await? })
    }
}

fn pong(data: &[u8]) -> Vec<u8> {
    frame(PING, ACK, 0, data)
}
