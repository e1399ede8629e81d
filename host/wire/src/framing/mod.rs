//! Inspects what a client sends, before hyper reads it. hyper repairs ambiguous HTTP/1.1 requests, so a proxy in front
//! that repairs differently would see other requests in the same bytes (RFC 9112, section 11.2). And hyper accepts any
//! number of HTTP/2 control frames.

mod chunks;
mod frames;
mod requests;
#[cfg(test)]
mod tests;

use std::future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use self::frames::Frames;
use self::requests::Requests;

/// Why the framing of a request is ambiguous. It is attached to the request, so that the pipeline rejects it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AmbiguousFraming(pub &'static str);

impl AmbiguousFraming {
    /// Some programs end the path at the fragment, and others don't (GHSA-pxq7-h93f-9jrg).
    pub const FRAGMENT: Self = Self("the request line has a fragment");
}

/// The limits on the head of an HTTP/1.1 request, which hyper applies.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// The size in bytes.
    pub size: usize,
    /// The number of header fields.
    pub fields: usize,
}

/// The head of a request that hyper rejects, because it is malformed or exceeds a limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RejectedHead {
    /// Whether the method is HEAD, so that the response has no body.
    pub is_head: bool,
    /// The beginning of the request's target. Empty if there is none.
    pub target: String,
}

/// What was observed on one connection.
#[derive(Debug, Default)]
pub struct ConnectionState {
    /// The first ambiguous request, counted from 1. The connection ends with it, so there is only one.
    first_ambiguous: OnceLock<(u64, AmbiguousFraming)>,
    served: AtomicU64,
    reading: AtomicU8,
    upgraded: AtomicBool,
    flooded: AtomicBool,
}

/// What a client is sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// The body of an HTTP/1.1 request.
    Body,
    /// HTTP/2 frames.
    Frames,
    /// The head of an HTTP/1.1 request.
    Head,
    /// Something that isn't a request, or a request that hyper rejects.
    Lost,
    /// Nothing: everything that it has sent is complete.
    Nothing,
}

impl ConnectionState {
    /// What the client is sending.
    pub fn reading(&self) -> Reading {
        let reading = self.reading.load(Ordering::Relaxed);
        let known = [Reading::Body, Reading::Frames, Reading::Head, Reading::Lost];
        let known = known.into_iter().find(|known| *known as u8 == reading);
        known.filter(|_| !self.is_upgraded()).unwrap_or(Reading::Nothing)
    }

    /// Whether hyper may be rejecting a head: a head isn't complete, or the last one isn't well-formed.
    pub fn may_reject(&self) -> bool {
        matches!(self.reading(), Reading::Head | Reading::Lost) || self.first_ambiguous.get().is_some()
    }

    /// Ends the inspection, because the connection was upgraded to another protocol.
    pub fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// Whether the connection was ended because the client sent too many control frames.
    pub fn is_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// Returns why the next request is ambiguous, or `None` if it isn't. Must be called once for each request, in
    /// order.
    pub fn next_request(&self) -> Option<AmbiguousFraming> {
        let request = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        let (first, ambiguity) = self.first_ambiguous.get()?;
        (*first <= request).then_some(*ambiguity)
    }
}

/// A client's stream that is inspected while it is read. Nothing is changed or held back.
#[derive(Debug)]
pub struct ObservedStream<S> {
    stream: S,
    /// The first bytes, which tell the protocol, until they are read.
    opening: Vec<u8>,
    protocol: Protocol,
    limits: HeadLimits,
    state: Arc<ConnectionState>,
}

/// The version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HttpVersion {
    /// HTTP/1.0 or HTTP/1.1, and everything that isn't HTTP/2.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The protocol of a connection.
#[derive(Debug)]
enum Protocol {
    Http1(Requests),
    Http2(Frames),
    /// The beginning of the HTTP/2 preface has arrived, or nothing.
    Undecided,
}

/// The beginning of every HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl<S> ObservedStream<S> {
    /// Wraps a stream. Heads beyond the limits aren't inspected, because hyper rejects them.
    pub fn new(stream: S, limits: HeadLimits) -> (Self, Arc<ConnectionState>) {
        let state = Arc::new(ConnectionState {
            reading: AtomicU8::new(Reading::Nothing as u8),
            ..ConnectionState::default()
        });
        let observed = Self {
            stream,
            opening: Vec::new(),
            protocol: Protocol::Undecided,
            limits,
            state: Arc::clone(&state),
        };
        (observed, state)
    }

    /// The head that hyper has rejected, if it has rejected one. `None` over HTTP/2.
    pub fn rejected(&self) -> Option<RejectedHead> {
        match &self.protocol {
            Protocol::Http1(requests) => requests.rejected(),
            Protocol::Http2(_) | Protocol::Undecided => None,
        }
    }

    fn inspect(&mut self, received: &[u8]) -> io::Result<()> {
        let reading = match &mut self.protocol {
            Protocol::Http1(requests) => {
                if let Some((request, why)) = requests.read(received) {
                    // Only the first one counts.
                    let _ = self.state.first_ambiguous.set((request, AmbiguousFraming(why)));
                }
                requests.reading()
            }
            Protocol::Http2(frames) => {
                if !frames.read(received) {
                    self.state.flooded.store(true, Ordering::Relaxed);
                    return Err(io::Error::other("too many control frames"));
                }
                Reading::Frames
            }
            Protocol::Undecided => Reading::Head,
        };
        self.state.reading.store(reading as u8, Ordering::Relaxed);
        Ok(())
    }

    /// Called after a write.
    fn on_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Protocol::Http2(frames), Poll::Ready(Ok(written))) = (&mut self.protocol, written) {
            frames.sent(*written);
        }
    }
}

impl<S: AsyncRead + Unpin> ObservedStream<S> {
    /// Reads until the first bytes tell the version. The stream yields them again.
    ///
    /// Cancel safe: no byte is lost.
    ///
    /// # Errors
    ///
    /// Fails if the stream can't be read.
    pub async fn version(&mut self) -> io::Result<HttpVersion> {
        future::poll_fn(|context| self.poll_version(context)).await
    }

    fn poll_version(&mut self, context: &mut Context<'_>) -> Poll<io::Result<HttpVersion>> {
        loop {
            match self.protocol {
                Protocol::Http1(_) => return Poll::Ready(Ok(HttpVersion::Http1)),
                Protocol::Http2(_) => return Poll::Ready(Ok(HttpVersion::Http2)),
                Protocol::Undecided => {}
            }
            let mut received = [0; PREFACE.len()];
            let mut buffer = ReadBuf::new(&mut received);
            let mut room = buffer.take(PREFACE.len().saturating_sub(self.opening.len()));
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut room))?;
            if room.filled().is_empty() {
                return Poll::Ready(Ok(HttpVersion::Http1));
            }
            self.opening.extend_from_slice(room.filled());
            self.inspect_opening()?;
        }
    }

    fn inspect_opening(&mut self) -> io::Result<()> {
        let opening = std::mem::take(&mut self.opening);
        let inspected = if opening == PREFACE {
            self.protocol = Protocol::Http2(Frames::default());
            self.inspect(&[])
        } else {
            if !PREFACE.starts_with(&opening) {
                self.protocol = Protocol::Http1(Requests::new(self.limits));
            }
            self.inspect(&opening)
        };
        self.opening = opening;
        inspected
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ObservedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Protocol::Undecided = self.protocol {
            ready!(self.poll_version(context))?;
        }
        let empty = buffer.filled().len();
        let given = self.opening.len().min(buffer.remaining());
        buffer.put_slice(self.opening.drain(..given).as_slice());
        if self.opening.is_empty() {
            self.opening = Vec::new();
        }
        if given > 0 && buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            // The first bytes were inspected when they arrived.
            Poll::Pending if given > 0 => return Poll::Ready(Ok(())),
            polled => ready!(polled)?,
        }
        let received = buffer.filled().get(before..).unwrap_or_default();
        if self.state.is_upgraded() || received.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let inspected = self.inspect(received);
        if inspected.is_err() {
            // A read that fails has read nothing.
            buffer.set_filled(empty);
        }
        Poll::Ready(inspected)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ObservedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.on_written(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.on_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
