//! A connection, however it was made.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection as Describe};

/// Bytes in both directions, encrypted or not.
pub(super) trait Io: Read + Write + Describe + Send + Unpin {}

impl<T: Read + Write + Describe + Send + Unpin> Io for T {}

/// A connection, and what the client has to know about it.
pub(super) struct Connection {
    io: Box<dyn Io>,
    /// The proxy at its other end reads the requests: they name their destination.
    is_forwarded: bool,
}

impl Connection {
    /// To the server itself, be it through a tunnel.
    pub(super) fn to_server(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), is_forwarded: false }
    }

    /// To a proxy that passes requests on.
    pub(super) fn to_proxy(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), is_forwarded: true }
    }
}

impl Describe for Connection {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_forwarded)
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
