//! Both ends of a connection, written and read by hand. Anything that doesn't arrive within the deadline fails the
//! test.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// Waits for something that must happen soon.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it happens in time")
}

/// One end of a connection.
pub(super) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(soon(TcpStream::connect(address)).await.unwrap()))
    }

    pub(super) async fn send(&mut self, text: &str) {
        soon(self.0.get_mut().write_all(text.as_bytes())).await.unwrap();
    }

    /// Sends the head of a request.
    pub(super) async fn request(&mut self, line: &str, headers: &str) {
        self.send(&format!("{line} HTTP/1.1\r\nHost: app.example\r\n{headers}\r\n"))
            .await;
    }

    /// Sends one chunk of a body. An empty chunk ends the body.
    pub(super) async fn send_chunk(&mut self, text: &str) {
        self.send(&format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    /// Reads up to an empty line. The result is in lower case.
    pub(super) async fn head(&mut self) -> String {
        self.raw_head().await.to_ascii_lowercase()
    }

    /// Reads up to an empty line.
    pub(super) async fn raw_head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                soon(self.0.read_line(&mut head)).await.unwrap(),
                0,
                "the connection ended in {head:?}"
            );
        }
        head
    }

    pub(super) async fn text(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        soon(self.0.read_exact(&mut bytes)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    pub(super) async fn chunk(&mut self) -> String {
        let mut size = String::new();
        soon(self.0.read_line(&mut size)).await.unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let chunk = self.text(size + 2).await;
        chunk.trim_end_matches("\r\n").to_owned()
    }

    /// Whether there are no unread bytes.
    pub(super) fn is_silent(&self) -> bool {
        let unread = self.0.get_ref().try_read(&mut [0]);
        self.0.buffer().is_empty() && unread.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Reads until the other end closes.
    pub(super) async fn rest(&mut self) -> String {
        String::from_utf8(self.bytes().await).unwrap()
    }

    /// The same for bytes that aren't text.
    pub(super) async fn bytes(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset counts as an end too.
        let _ = soon(self.0.read_to_end(&mut rest)).await;
        rest
    }
}

/// An upstream whose connections the test accepts one by one.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    listener: TcpListener,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener,
        }
    }

    pub(super) async fn accept(&self) -> Wire {
        Wire(BufReader::new(soon(self.listener.accept()).await.unwrap().0))
    }

    /// Whether no connection was made.
    pub(super) fn is_unvisited(&self) -> bool {
        self.listener.accept().now_or_never().is_none()
    }
}
