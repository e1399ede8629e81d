//! A client stream that still reads the response after a write has failed. A server may respond early and close the
//! connection without reading the rest of the request: the next write then fails, although the response has arrived.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use hyper_util::client::legacy::connect::Connected;
use hyper_util::client::legacy::connect::Connection;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// A stream that remembers its first write error instead of returning it. Later writes are dropped. Reads return what
/// the server has sent, and at the end of that the error of the write.
///
/// RFC 9112, section 9.5: a client that sees the connection close while it sends a request should look for a response.
#[derive(Debug)]
pub struct TolerantWrites<S> {
    stream: S,
    /// The first write error. `None` if no write failed, or if a read has returned the error.
    failed: Option<io::Error>,
    drops_writes: bool,
}

impl<S> TolerantWrites<S> {
    /// Wraps a stream to which nothing has been written yet.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            failed: None,
            drops_writes: false,
        }
    }

    /// Returns `result`, or `instead` if it is an error, which is remembered.
    fn tolerate<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.drops_writes = true;
                self.failed = Some(error);
                Ok(instead)
            }
            result => result,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TolerantWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let ended = read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0);
        match self.failed.take_if(|_| ended) {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Ready(read),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TolerantWrites<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.drops_writes {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.tolerate(written, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if self.drops_writes {
            return Poll::Ready(Ok(length));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts));
        Poll::Ready(self.tolerate(written, length))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drops_writes {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        Poll::Ready(self.tolerate(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drops_writes {
            return Poll::Ready(Ok(()));
        }
        let shut = ready!(Pin::new(&mut self.stream).poll_shutdown(context));
        Poll::Ready(self.tolerate(shut, ()))
    }
}

/// The connection's properties, which a pool asks for, are those of the stream.
impl<S: Connection> Connection for TolerantWrites<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::testing::assert_writes_pass;

    /// A connection on which the server has sent `answer`. Every write after the first one fails.
    struct Reset {
        answer: &'static [u8],
        writes: usize,
    }

    impl AsyncRead for Reset {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let (now, later) = self.answer.split_at(self.answer.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.answer = later;
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Reset {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.writes += 1;
            match self.writes {
                1 => Poll::Ready(Ok(bytes.len())),
                _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
        }
    }

    fn reset(answer: &'static [u8]) -> TolerantWrites<Reset> {
        TolerantWrites::new(Reset { answer, writes: 0 })
    }

    #[tokio::test]
    async fn writes_pass_through() {
        assert_writes_pass(TolerantWrites::new, |stream| &stream.stream).await;
    }

    #[tokio::test]
    async fn the_response_is_read_after_a_write_has_failed() {
        let mut stream = reset(b"403");
        for _ in 0..3 {
            stream.write_all(b"body").await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"403");
    }

    #[tokio::test]
    async fn without_a_response_the_write_error_is_returned_once() {
        let mut stream = reset(b"");
        stream.write_all(b"head").await.unwrap();
        stream.write_all(b"body").await.unwrap();
        let error = stream.read(&mut [0; 3]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(stream.read(&mut [0; 3]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_stream_without_write_errors_ends_without_an_error() {
        let mut stream = reset(b"200");
        stream.write_all(b"head").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"200");
    }

    #[tokio::test]
    async fn a_read_into_a_full_buffer_is_not_the_end() {
        let mut stream = reset(b"x");
        stream.write_all(b"head").await.unwrap();
        stream.write_all(b"body").await.unwrap();
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        assert_eq!(stream.read(&mut [0; 3]).await.unwrap(), 1);
        assert!(stream.read(&mut [0; 3]).await.is_err());
    }

    /// The caller repeats such a write, so nothing is lost.
    #[test]
    fn an_interrupted_write_is_not_a_failed_one() {
        let mut stream = reset(b"");
        let interrupted = || io::Error::from(io::ErrorKind::Interrupted);
        assert!(stream.tolerate(Err(interrupted()), 1).is_err());
        assert!(!stream.drops_writes && stream.failed.is_none());
        assert_eq!(stream.tolerate(Err(io::ErrorKind::BrokenPipe.into()), 1).unwrap(), 1);
        assert!(stream.drops_writes && stream.failed.is_some());
    }

    #[tokio::test]
    async fn dropped_writes_count_as_complete() {
        let mut stream = reset(b"");
        stream.write_all(b"head").await.unwrap();
        let parts = [io::IoSlice::new(b"ab"), io::IoSlice::new(b"cde")];
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 5);
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 5);
        stream.shutdown().await.unwrap();
    }
}
