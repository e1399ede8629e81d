//! A stream for tests of streams around it. It keeps what reaches it.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;

/// A stream that sends `input` piece by piece, and keeps what is called.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) input: Vec<Vec<u8>>,
    pub(crate) is_vectored: bool,
    pub(crate) calls: Vec<String>,
}

impl AsyncRead for Recorder {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(piece) = self.input.first_mut() {
            let rest = piece.split_off(piece.len().min(buffer.remaining()));
            buffer.put_slice(piece);
            *piece = rest;
        }
        self.input.retain(|piece| !piece.is_empty());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.calls.push(format!("write {}", bytes.escape_ascii()));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.calls.push(format!("write {} parts", parts.len()));
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.is_vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.calls.push("flush".to_owned());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.calls.push("shutdown".to_owned());
        Poll::Ready(Ok(()))
    }
}

/// Fails unless all that is written to a stream reaches the recorder in it unchanged.
pub(crate) async fn assert_writes_pass<S>(wrap: impl Fn(Recorder) -> S, inner: impl Fn(&S) -> &Recorder)
where
    S: AsyncWrite + Unpin,
{
    for is_vectored in [true, false] {
        let mut stream = wrap(Recorder {
            is_vectored,
            ..Recorder::default()
        });
        assert_eq!(stream.is_write_vectored(), is_vectored);
        assert_eq!(stream.write(b"abc").await.unwrap(), 3);
        let parts = [io::IoSlice::new(b"ab"), io::IoSlice::new(b"cde")];
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 5);
        stream.flush().await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(
            inner(&stream).calls,
            ["write abc", "write 2 parts", "flush", "shutdown"]
        );
    }
}
