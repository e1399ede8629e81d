//! Finds the requests of a connection by their heads and lengths, with `httparse`, as hyper does. When this parser
//! loses track, hyper rejects the request, too.

use std::mem::MaybeUninit;

use httparse::Header;
use httparse::Request;

use super::AmbiguousFraming;
use super::HeadLimits;
use super::Reading;
use super::RejectedHead;
use super::chunks::Chunks;
use super::chunks::Progress;

/// A parser for the requests of a connection that arrives in pieces.
#[derive(Debug)]
pub(super) struct Requests {
    position: Position,
    /// How many heads have been complete.
    complete_heads: u64,
    limits: HeadLimits,
    /// The last head, if it is ambiguous, malformed or beyond a limit. hyper may reject it.
    doubtful: Option<RejectedHead>,
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
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self {
            position: Position::Head(Vec::new()),
            complete_heads: 0,
            limits,
            doubtful: None,
        }
    }

    /// The head that hyper has rejected, if it has rejected one. hyper doesn't wait for the end of a head that it rejects.
    pub(super) fn rejected(&self) -> Option<RejectedHead> {
        match &self.position {
            Position::Head(begun) if !begun.is_empty() => Some(RejectedHead::new(begun)),
            _ => self.doubtful.clone(),
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
                    // Most heads arrive in one piece, which needn't be copied.
                    let begun = if known == 0 {
                        rest
                    } else {
                        buffered.extend_from_slice(rest);
                        buffered.as_slice()
                    };
                    match Head::read(begun, known, self.limits.fields) {
                        Some(Ok(head)) => {
                            rest = rest.get(head.length.saturating_sub(known)..).unwrap_or_default();
                            self.complete_heads += 1;
                            if let Some(why) = head.ambiguity {
                                self.doubtful = Some(RejectedHead::new(begun));
                                self.position = head.body;
                                return Some((self.complete_heads, why));
                            }
                            self.position = head.body;
                        }
                        None if begun.len() < self.limits.size => {
                            if known == 0 {
                                *buffered = rest.to_vec();
                            }
                            return None;
                        }
                        Some(Err(Refused)) | None => {
                            self.doubtful = Some(RejectedHead::new(begun));
                            self.position = Position::Lost;
                        }
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

impl RejectedHead {
    fn new(bytes: &[u8]) -> Self {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ');
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let target = target.get(..MAX_KEPT_TARGET).unwrap_or(target);
        Self {
            is_head: method == b"HEAD",
            target: String::from_utf8_lossy(target).into_owned(),
        }
    }
}

struct Head {
    length: usize,
    /// What follows the head.
    body: Position,
    ambiguity: Option<&'static str>,
}

impl Head {
    /// Reads the head at the beginning of the bytes. `None` if it isn't complete. The first `known` bytes have been
    /// read before, and weren't a complete head.
    fn read(bytes: &[u8], known: usize, max_fields: usize) -> Option<Result<Self, Refused>> {
        // Without this check, a head that arrives byte by byte would take quadratic time.
        if !has_empty_line(bytes.get(known.saturating_sub(2)..).unwrap_or(bytes)) {
            return None;
        }
        let (mut few, mut many) = ([const { MaybeUninit::uninit() }; FIELDS_ON_STACK], Vec::new());
        let headers = match few.get_mut(..max_fields) {
            Some(few) => few,
            None => {
                many.resize_with(max_fields, MaybeUninit::uninit);
                many.as_mut_slice()
            }
        };
        let mut request = Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, headers) {
            Ok(httparse::Status::Complete(length)) => {
                let head = bytes.get(..length).unwrap_or(bytes);
                let target = request.path.unwrap_or_default();
                if target.len() > MAX_TARGET || target.parse::<http::Uri>().is_err() {
                    return Some(Err(Refused));
                }
                if request.version == Some(0) && request.headers.iter().any(is_transfer_encoding) {
                    return Some(Err(Refused));
                }
                Some(Self::parsed(head, target, request.headers))
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
            Some(AmbiguousFraming::FRAGMENT.0)
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
    memchr::memchr_iter(b'\n', bytes).any(|end| {
        let next = bytes.get(end + 1..).unwrap_or_default();
        next.starts_with(b"\n") || next.starts_with(b"\r\n")
    })
}

/// RFC 9112, section 2.2: a recipient may accept a bare LF as the end of a line, but not all do.
fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|end| !head.get(..end).unwrap_or_default().ends_with(b"\r"))
}

/// HTTP/1.0 has no transfer codings.
fn is_transfer_encoding(header: &Header<'_>) -> bool {
    header.name.eq_ignore_ascii_case("transfer-encoding")
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

/// How many header fields are parsed without allocating memory for them.
const FIELDS_ON_STACK: usize = 100;

/// The longest target that hyper accepts.
const MAX_TARGET: usize = 65534;

/// The longest target that a [`RejectedHead`] keeps.
const MAX_KEPT_TARGET: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        size: 1000,
        fields: 100,
    };

    const GOOD: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
                        POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\nGET / TE\r\n\r\n\r\
                        POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n7\r\nA: 1\n\n\r\r\n0\r\nX: 1\r\n\r\n\
                        POST /d HTTP/1.0\r\nContent-Length: 0\r\n\r\n";

    /// The first ambiguous request, which must not depend on how the bytes are split.
    fn first_ambiguous(bytes: &str) -> Option<u64> {
        let whole = Requests::new(LIMITS).read(bytes.as_bytes());
        for size in [1, 2, 3, 7] {
            let mut requests = Requests::new(LIMITS);
            let cut = bytes.as_bytes().chunks(size).find_map(|piece| requests.read(piece));
            assert_eq!(cut, whole, "in pieces of {size}: {bytes:?}");
        }
        whole.map(|(request, _)| request)
    }

    #[test]
    fn requests_with_one_reading_are_not_ambiguous() {
        assert_eq!(first_ambiguous(GOOD), None);
        let mut requests = Requests::new(LIMITS);
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
    }

    #[test]
    fn heads_and_targets_up_to_the_limits_are_followed() {
        let limits = HeadLimits {
            size: 100_000,
            fields: 10,
        };
        for (length, lost) in [(65_534, false), (65_535, true), (70_000, true)] {
            let mut requests = Requests::new(limits);
            assert_eq!(
                requests.read(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 1)).as_bytes()),
                None
            );
            assert_eq!(requests.reading() == Reading::Lost, lost, "a target of {length}");
        }
        for (length, expected) in [(999, Reading::Head), (1000, Reading::Lost), (1001, Reading::Lost)] {
            let mut requests = Requests::new(LIMITS);
            assert_eq!(
                requests.read(format!("GET /{}", "a".repeat(length - 5)).as_bytes()),
                None
            );
            assert_eq!(requests.reading(), expected, "an incomplete head of {length}");
        }
    }

    #[test]
    fn a_head_that_hyper_rejects_is_found_with_its_target() {
        let many = format!("GET /many HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(101));
        for (bytes, is_head, target) in [
            ("x".repeat(2000).as_str(), false, ""),
            (
                &format!("GET /{} HTTP/1.1\r\n", "a".repeat(2000)),
                false,
                &format!("/{}", "a".repeat(255)),
            ),
            (&many, false, "/many"),
            ("HEAD /a HTTP/9.9\r\n\r\n", true, "/a"),
            ("HELO gateway\r\n\r\n", false, "gateway\r"),
            ("GET /a\u{7f} HTTP/1.1\r\n\r\n", false, "/a\u{7f}"),
            ("GET http:///a HTTP/1.1\r\n\r\n", false, "http:///a"),
            ("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", false, "/a"),
            ("GET /a HTTP/1.1\r\nX Y: 1\r\n\r\n", false, "/a"),
        ] {
            let mut requests = Requests::new(LIMITS);
            let target = target.to_owned();
            assert_eq!(requests.read(bytes.as_bytes()), None);
            assert_eq!(requests.rejected(), Some(RejectedHead { is_head, target }), "{bytes}");
            assert_eq!(requests.reading(), Reading::Lost);
            assert_eq!(requests.read(GOOD.as_bytes()), None);
        }
        let mut requests = Requests::new(LIMITS);
        assert_eq!(requests.read(GOOD.as_bytes()), None);
        assert_eq!(requests.rejected(), None);
        requests.read(b"GET /begun HTTP/9");
        assert_eq!(requests.rejected().map(|head| head.target).as_deref(), Some("/begun"));
    }
}
