//! Reads the ClientHello of a connection with rustls's parser, which the gateway's own TLS uses as well. The bytes are
//! kept for the server that terminates TLS.

use bytes::Bytes;
use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;

/// The first bytes of a connection.
#[derive(Debug)]
pub(super) struct ClientHello {
    /// The host that the ClientHello names (RFC 6066, section 3), in lower case. `None` if it names none, or if rustls
    /// doesn't accept it.
    pub(super) host: Option<String>,
    /// All bytes that were read, which may be more than the ClientHello.
    pub(super) bytes: Bytes,
}

impl ClientHello {
    /// Reads until the ClientHello is complete, malformed or too large.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut acceptor = Acceptor::default();
        let mut bytes = BytesMut::with_capacity(TYPICAL_SIZE);
        let mut host = None;
        while bytes.len() < MAX_SIZE {
            let before = bytes.len();
            let left = u64::try_from(MAX_SIZE - before).unwrap_or(u64::MAX);
            if (&mut *stream).take(left).read_buf(&mut bytes).await? == 0 {
                break;
            }
            match parse(&mut acceptor, bytes.get(before..).unwrap_or_default()) {
                Parsed::Incomplete => {}
                Parsed::Unusable => break,
                Parsed::Named(name) => {
                    host = name;
                    break;
                }
            }
        }
        Ok(Self {
            host,
            bytes: bytes.freeze(),
        })
    }
}

enum Parsed {
    Incomplete,
    Named(Option<String>),
    Unusable,
}

fn parse(acceptor: &mut Acceptor, mut bytes: &[u8]) -> Parsed {
    while !bytes.is_empty() {
        if !matches!(acceptor.read_tls(&mut bytes), Ok(1..)) {
            return Parsed::Unusable;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let host = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
                return Parsed::Named(host);
            }
            // The TLS server that reads the same bytes next sends the alert.
            Err(_) => return Parsed::Unusable,
        }
    }
    Parsed::Incomplete
}

/// Enough for a ClientHello with a post-quantum key share.
const TYPICAL_SIZE: usize = 2048;
/// The largest ClientHello that is read, in bytes, including the record headers.
const MAX_SIZE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endless_client_hello_is_given_up() {
        // A ClientHello of 60,000 bytes in records of 1 KiB. rustls accepts up to 65,535.
        let record = [&[22, 3, 1, 4, 0][..], &[1, 0, 0xea, 0x60], &[0; 1020]].concat();
        let endless = record.repeat(100);
        let hello = ClientHello::read(&mut endless.as_slice()).await.unwrap();
        assert_eq!(hello.host, None);
        assert!(hello.bytes.len() <= MAX_SIZE && endless.starts_with(&hello.bytes));
    }

    #[tokio::test]
    async fn all_bytes_are_kept_even_if_they_are_not_tls() {
        for sent in [&b""[..], b"GET / HTTP/1.1\r\n", &[22, 3, 1], &[22, 3, 1, 0, 1, 1]] {
            let hello = ClientHello::read(&mut { sent }).await.unwrap();
            assert_eq!((hello.host, hello.bytes.as_ref()), (None, sent));
        }
    }
}
