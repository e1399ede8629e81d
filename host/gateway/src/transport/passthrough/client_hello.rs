//! What a client says first. It is read by the parser that the gateway's own TLS reads it with, and kept, because whoever
//! it is for has to read it too.

use bytes::Bytes;
use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;

/// The first bytes of a connection.
#[derive(Debug)]
pub(super) struct ClientHello {
    /// The host that a ClientHello names (RFC 6066, section 3), in lower case; none: there is no ClientHello that rustls
    /// takes, or it names none.
    pub(super) host: Option<String>,
    /// All that was read, which may be more than the ClientHello.
    pub(super) bytes: Bytes,
}

impl ClientHello {
    /// Reads until a ClientHello is whole, can't become one, or is too large to go on.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
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
            // The alert that belongs to it is sent by whoever reads the same bytes next.
            Err(_) => return Parsed::Unusable,
        }
    }
    Parsed::Incomplete
}

/// Enough for a ClientHello with a post-quantum key share.
const TYPICAL_SIZE: usize = 2048;
/// Largest ClientHello that is looked at, in bytes, with the records that it comes in.
const MAX_SIZE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_hello_is_read_for_ever() {
        // A ClientHello of 60,000 bytes, in records of 1 KiB: rustls takes one of 65,535.
        let record = [&[22, 3, 1, 4, 0][..], &[1, 0, 0xea, 0x60], &[0; 1020]].concat();
        let endless = record.repeat(100);
        let hello = ClientHello::read(&mut endless.as_slice()).await.unwrap();
        assert_eq!(hello.host, None);
        assert!(hello.bytes.len() <= MAX_SIZE && endless.starts_with(&hello.bytes));
    }

    #[tokio::test]
    async fn what_was_read_is_kept_whatever_it_is() {
        for sent in [&b""[..], b"GET / HTTP/1.1\r\n", &[22, 3, 1], &[22, 3, 1, 0, 1, 1]] {
            let hello = ClientHello::read(&mut { sent }).await.unwrap();
            assert_eq!((hello.host, hello.bytes.as_ref()), (None, sent));
        }
    }
}
