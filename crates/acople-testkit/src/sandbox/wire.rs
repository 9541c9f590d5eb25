//! The connection as hyper sees it, with a bell that rings when an answer has left the process.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    body::{Body, Frame, SizeHint},
    rt::{Read, ReadBufCursor, Write},
};
use tokio::time::Sleep;

use super::hook::{Seen, Then};

/// Called with a request whose answer is on its way.
pub(crate) type Bell = Arc<dyn Fn(&Seen) -> Then + Send + Sync>;

/// The answer whose last byte hyper holds: the next flush of the socket hands it over.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<Option<Seen>>);

impl Pending {
    fn set(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    fn take(&self) -> Option<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body of one piece that marks its answer as pending when hyper takes the piece.
#[derive(Debug)]
pub(crate) struct OnePiece {
    data: Option<Bytes>,
    seen: Option<Seen>,
    pending: Arc<Pending>,
}

impl OnePiece {
    /// `seen` is what the bell will be rung with; `None` rings nothing.
    pub(crate) fn new(data: Bytes, seen: Option<Seen>, pending: Arc<Pending>) -> Self {
        let data = (!data.is_empty()).then_some(data);
        let mut body = Self { data, seen, pending };
        if body.data.is_none() {
            body.mark();
        }
        body
    }

    fn mark(&mut self) {
        if let Some(seen) = self.seen.take() {
            self.pending.set(seen);
        }
    }
}

impl Body for OnePiece {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let data = self.data.take();
        self.mark();
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// A socket that rings the bell when it has been flushed with an answer pending.
pub(crate) struct Wire<S> {
    socket: S,
    pending: Arc<Pending>,
    bell: Bell,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(crate) fn new(socket: S, pending: Arc<Pending>, bell: Bell) -> Self {
        Self { socket, pending, bell, pause: None }
    }
}

impl<S: Read + Unpin> Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: Write + Unpin> Write for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    // hyper flushes only when its own buffer is empty: what was pending is in the socket by then.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        if let Some(seen) = self.pending.take() {
            match (self.bell)(&seen) {
                Then::Drop => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                Then::Delay(time) => self.pause = Some(Box::pin(tokio::time::sleep(time))),
                Then::Go | Then::Answer { .. } => {}
            }
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }
}
