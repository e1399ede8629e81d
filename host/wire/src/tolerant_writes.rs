//! A client's connection whose reading side has the last word. A server may answer early and close with the rest of the
//! request unread: the next write then fails, while the answer lies in the socket, waiting to be read.

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

/// A stream that remembers its first failed write instead of reporting it. From then on writes are dropped, and reading
/// decides: what the server sent is read, and where that ends the error of the write is reported.
///
/// RFC 9112, section 9.5: a client that sees the connection close while it sends a request should look for a response.
#[derive(Debug)]
pub struct TolerantWrites<S> {
    stream: S,
    /// The first error of a write. `None` if all went well, or if reading has reported it.
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

    /// Reports `result`, or `instead` where it is an error or an earlier write failed.
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

/// What a pool asks about a connection is the stream's to answer.
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

    /// A connection over which the server has sent `answer`, and of which every write after the first fails.
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
    async fn an_answer_is_read_after_a_write_failed() {
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
    async fn without_an_answer_the_error_of_the_write_is_reported_once() {
        let mut stream = reset(b"");
        stream.write_all(b"head").await.unwrap();
        stream.write_all(b"body").await.unwrap();
        let error = stream.read(&mut [0; 3]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(stream.read(&mut [0; 3]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_stream_whose_writes_go_well_ends_without_an_error() {
        let mut stream = reset(b"200");
        stream.write_all(b"head").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"200");
    }

    #[tokio::test]
    async fn dropped_writes_count_as_written_whole() {
        let mut stream = reset(b"");
        stream.write_all(b"head").await.unwrap();
        let parts = [io::IoSlice::new(b"ab"), io::IoSlice::new(b"cde")];
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 5);
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 5);
        stream.shutdown().await.unwrap();
    }
}
