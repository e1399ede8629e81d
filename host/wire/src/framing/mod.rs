//! A look at what a client sends before hyper reads it. hyper repairs HTTP/1.1 requests where it can, and a program in
//! front of the gateway that repairs differently would see other requests in the same bytes (RFC 9112, section 11.2); and
//! it takes any number of frames of HTTP/2 that ask for nothing.

mod chunks;
mod frames;
mod requests;

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

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use self::frames::Frames;
use self::requests::Requests;

/// Why a request could be read in two ways. It travels with the request, for the way of every other to refuse it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AmbiguousFraming(pub(crate) &'static str);

/// What was seen on one connection.
#[derive(Debug, Default)]
pub struct ConnectionState {
    /// The first doubtful request, counted from 1. There is no second, as the connection ends with it.
    first_ambiguous: OnceLock<(u64, AmbiguousFraming)>,
    served: AtomicU64,
    reading: AtomicU8,
    upgraded: AtomicBool,
    flooded: AtomicBool,
}

/// What a client is in the middle of sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// The body of a request of HTTP/1.1.
    Body,
    /// Frames of HTTP/2.
    Frames,
    /// The head of a request of HTTP/1.1.
    Head,
    /// Something that is no request, or one that is refused.
    Lost,
    /// Nothing: what it sent is whole.
    Nothing,
}

impl ConnectionState {
    /// What the client is in the middle of sending.
    pub fn reading(&self) -> Reading {
        let reading = self.reading.load(Ordering::Relaxed);
        let known = [Reading::Body, Reading::Frames, Reading::Head, Reading::Lost];
        let known = known.into_iter().find(|known| *known as u8 == reading);
        known.filter(|_| !self.is_upgraded()).unwrap_or(Reading::Nothing)
    }

    /// From now on another protocol is protocol, and nothing is looked at.
    pub fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// Whether the connection was ended because the client sent too many frames for nothing.
    pub fn is_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// Whether the next request is in doubt. To be called once for each, in order.
    pub fn next_request(&self) -> Option<AmbiguousFraming> {
        let request = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        let (first, ambiguity) = self.first_ambiguous.get()?;
        (*first <= request).then_some(*ambiguity)
    }
}

/// A client's stream whose requests are looked at as they come. Nothing is changed or held back.
#[derive(Debug)]
pub struct ObservedStream<S> {
    stream: S,
    protocol: Protocol,
    max_head_size: usize,
    state: Arc<ConnectionState>,
}

/// What a client speaks.
#[derive(Debug)]
enum Protocol {
    Http1(Requests),
    Http2(Frames),
    /// So many bytes have come of what HTTP/2 begins with.
    Undecided(usize),
}

/// RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl<S> ObservedStream<S> {
    /// Watches a stream. No head of more than `max_head_size` bytes is looked at; hyper takes none.
    pub fn new(stream: S, max_head_size: usize) -> (Self, Arc<ConnectionState>) {
        let state = Arc::new(ConnectionState {
            reading: AtomicU8::new(Reading::Nothing as u8),
            ..ConnectionState::default()
        });
        let observed = Self {
            stream,
            protocol: Protocol::Undecided(0),
            max_head_size,
            state: Arc::clone(&state),
        };
        (observed, state)
    }

    fn inspect(&mut self, mut received: &[u8]) -> io::Result<()> {
        if let Protocol::Undecided(known) = &mut self.protocol {
            let (begun, rest) = PREFACE.split_at_checked(*known).unwrap_or_default();
            let same = received.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if same == rest.len() {
                received = received.get(same..).unwrap_or_default();
                self.protocol = Protocol::Http2(Frames::default());
            } else if same == received.len() {
                *known += same;
            } else {
                let mut requests = Requests::new(self.max_head_size);
                // A part of the preface is no whole head, so that nothing can be said of it.
                requests.read(begun);
                self.protocol = Protocol::Http1(requests);
            }
        }
        let reading = match &mut self.protocol {
            Protocol::Http1(requests) => {
                if let Some((request, why)) = requests.read(received) {
                    // Only the first counts.
                    let _ = self.state.first_ambiguous.set((request, AmbiguousFraming(why)));
                }
                requests.reading()
            }
            Protocol::Http2(frames) => {
                if !frames.read(received) {
                    self.state.flooded.store(true, Ordering::Relaxed);
                    return Err(io::Error::other("too many frames that ask for nothing"));
                }
                Reading::Frames
            }
            Protocol::Undecided(_) => Reading::Head,
        };
        self.state.reading.store(reading as u8, Ordering::Relaxed);
        Ok(())
    }

    /// So many bytes went out.
    fn on_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Protocol::Http2(frames), Poll::Ready(Ok(written))) = (&mut self.protocol, written) {
            frames.sent(*written);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ObservedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let received = buffer.filled().get(before..).unwrap_or_default();
        if self.state.is_upgraded() || received.is_empty() {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.inspect(received))
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
