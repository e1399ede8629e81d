//! Finds the requests of a connection by their heads and lengths, with `httparse`, as hyper does. When this parser
//! loses track, hyper rejects the request, too.

use httparse::Header;
use httparse::Request;

use super::Reading;
use super::chunks::Chunks;
use super::chunks::Progress;

/// A parser for the requests of a connection that arrives in pieces.
#[derive(Debug)]
pub(super) struct Requests {
    position: Position,
    /// How many heads have been complete.
    complete_heads: u64,
    max_head_size: usize,
}

/// The parser's position in the connection.
#[derive(Debug)]
enum Position {
    /// In a chunked body.
    ChunkedBody(Chunks),
    /// In a head, of which these bytes have arrived.
    Head(Vec<u8>),
    /// Unknown: the bytes are another protocol, or hyper rejects them.
    Lost,
    /// In a body of which this many bytes are missing.
    SizedBody(u64),
}

impl Requests {
    pub(super) fn new(max_head_size: usize) -> Self {
        Self {
            position: Position::Head(Vec::new()),
            complete_heads: 0,
            max_head_size,
        }
    }

    /// What the client is sending.
    pub(super) fn reading(&self) -> Reading {
        match &self.position {
            Position::ChunkedBody(_) | Position::SizedBody(_) => Reading::Body,
            Position::Head(buffered) if buffered.is_empty() => Reading::Nothing,
            Position::Head(_) => Reading::Head,
            Position::Lost => Reading::Lost,
        }
    }

    /// Reads the next bytes. Returns the first ambiguous request in them, counted from 1, with the reason.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<(u64, &'static str)> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match &mut self.position {
                Position::ChunkedBody(chunks) => match chunks.read(rest) {
                    Progress::Ended(end) => {
                        rest = rest.get(end..).unwrap_or_default();
                        self.position = Position::Head(Vec::new());
                    }
                    Progress::Incomplete => return None,
                    Progress::Invalid => self.position = Position::Lost,
                },
                Position::Head(buffered) => {
                    let known = buffered.len();
                    buffered.extend_from_slice(rest);
                    match Head::read(buffered, known) {
                        Some(Ok(head)) => {
                            rest = rest.get(head.length.saturating_sub(known)..).unwrap_or_default();
                            self.complete_heads += 1;
                            self.position = head.body;
                            if let Some(why) = head.ambiguity {
                                return Some((self.complete_heads, why));
                            }
                        }
                        Some(Err(Refused)) => self.position = Position::Lost,
                        None if buffered.len() > self.max_head_size => self.position = Position::Lost,
                        None => return None,
                    }
                }
                Position::Lost => return None,
                Position::SizedBody(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    rest = rest.get(taken..).unwrap_or_default();
                    *left -= u64::try_from(taken).unwrap_or(*left);
                    if *left == 0 {
                        self.position = Position::Head(Vec::new());
                    }
                }
            }
        }
        None
    }
}

/// hyper rejects the request, and the connection ends.
struct Refused;

struct Head {
    length: usize,
    /// What follows the head.
    body: Position,
    ambiguity: Option<&'static str>,
}

impl Head {
    /// Reads the head at the beginning of the bytes. `None` if it isn't complete. The first `known` bytes have been
    /// read before, and weren't a complete head.
    fn read(bytes: &[u8], known: usize) -> Option<Result<Self, Refused>> {
        // Without this check, a head that arrives byte by byte would take quadratic time.
        if !has_empty_line(bytes.get(known.saturating_sub(2)..).unwrap_or(bytes)) {
            return None;
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => {
                let head = bytes.get(..length).unwrap_or(bytes);
                Some(Self::parsed(head, request.path.unwrap_or_default(), request.headers))
            }
            Ok(httparse::Status::Partial) => None,
            Err(_) => Some(Err(Refused)),
        }
    }

    fn parsed(head: &[u8], target: &str, headers: &[Header<'_>]) -> Result<Self, Refused> {
        let named = |name: &'static str| {
            let fields = headers
                .iter()
                .filter(move |header| header.name.eq_ignore_ascii_case(name));
            fields.map(|header| header.value.trim_ascii())
        };
        let mut lengths = named("content-length");
        let mut codings = named("transfer-encoding");
        let (length, coding) = (lengths.next(), codings.next());
        let ambiguity = if length.is_some() && coding.is_some() {
            Some("the request has both Content-Length and Transfer-Encoding")
        } else if lengths.next().is_some() {
            Some("the request has several Content-Length headers")
        } else if coding.is_some_and(|coding| !is_chunked(coding)) || codings.next().is_some() {
            Some("the request has a transfer coding other than chunked")
        } else if target.contains('#') {
            Some("the request line has a fragment")
        } else if has_bare_line_feed(head) {
            Some("a line of the request's head ends in LF without CR")
        } else {
            None
        };
        let body = match (coding, length) {
            (Some(_), _) => Position::ChunkedBody(Chunks::default()),
            (None, Some(length)) => match digits(length).ok_or(Refused)? {
                0 => Position::Head(Vec::new()),
                length => Position::SizedBody(length),
            },
            (None, None) => Position::Head(Vec::new()),
        };
        Ok(Self {
            length: head.len(),
            body,
            ambiguity,
        })
    }
}

/// Whether the bytes contain an empty line.
fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// RFC 9112, section 2.2: a recipient may accept a bare LF as the end of a line, but not all do.
fn has_bare_line_feed(head: &[u8]) -> bool {
    head.first() == Some(&b'\n')
        || head
            .windows(2)
            .any(|pair| matches!(pair, [before, b'\n'] if *before != b'\r'))
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

fn digits(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// As many as hyper accepts.
const MAX_HEADERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
                        POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\nGET / TE\r\n\r\n\r\
                        POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n7\r\nA: 1\n\n\r\r\n0\r\nX: 1\r\n\r\n\
                        POST /d HTTP/1.0\r\nContent-Length: 0\r\n\r\n";

    /// The first ambiguous request, which must not depend on how the bytes are split.
    fn first_ambiguous(bytes: &str) -> Option<u64> {
        let whole = Requests::new(1000).read(bytes.as_bytes());
        for size in [1, 2, 3, 7] {
            let mut requests = Requests::new(1000);
            let cut = bytes.as_bytes().chunks(size).find_map(|piece| requests.read(piece));
            assert_eq!(cut, whole, "in pieces of {size}: {bytes:?}");
        }
        whole.map(|(request, _)| request)
    }

    #[test]
    fn requests_with_one_reading_are_not_ambiguous() {
        assert_eq!(first_ambiguous(GOOD), None);
        let mut requests = Requests::new(1000);
        assert_eq!(requests.read(GOOD.as_bytes()), None);
        assert_eq!(requests.complete_heads, 4);
    }

    #[test]
    fn a_request_that_hyper_would_repair_is_ambiguous() {
        for bad in [
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTRANSFER-ENCODING: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET /open#/admin HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\nX: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\n",
            "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            assert_eq!(first_ambiguous(bad), Some(1), "{bad:?}");
            assert_eq!(first_ambiguous(&format!("{GOOD}{bad}")), Some(5), "{bad:?}");
        }
    }

    #[test]
    fn requests_that_hyper_rejects_are_left_to_hyper() {
        for refused in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "HELO gateway\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        ] {
            let bad = "GET / HTTP/1.1\nHost: x\n\n";
            assert_eq!(first_ambiguous(&format!("{refused}{bad}")), None, "{refused:?}");
        }
        let mut requests = Requests::new(1000);
        assert_eq!(requests.read(&[b'x'; 2000]), None);
        assert!(matches!(requests.position, Position::Lost), "{requests:?}");
    }
}
