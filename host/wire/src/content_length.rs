//! How long the body of a message is. A proxy reads a body by one rule and sends it by another, so it writes the length
//! anew from what it reads: a length that it merely passes on can cut a body off, or begin another message in it.

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::Version;
use http::header;
use http::response;

/// A response whose body can't be read, because it is sent in a transfer coding other than `chunked`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the response has a Transfer-Encoding other than chunked")]
pub struct UnknownTransferCoding;

/// The length that the response to a request with this method has for its recipient (RFC 9112, section 6.3, and RFC
/// 9110, section 8.6). `None` if the response must not name one.
///
/// `body` is the length of the body that the connection delivers, `None` if its end isn't known in advance. A response
/// to HEAD and a 304 have no body; their `Content-Length` describes another response, and is kept if it has one meaning.
///
/// # Errors
///
/// If the body has a transfer coding that isn't decoded, so that the recipient couldn't understand it.
pub fn of_response(
    method: &Method,
    head: &response::Parts,
    body: Option<u64>,
) -> Result<Option<u64>, UnknownTransferCoding> {
    if head.status.is_informational() || head.status == StatusCode::NO_CONTENT {
        return Ok(None);
    }
    let is_chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
    if method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED {
        return Ok(named(&head.headers).filter(|_| !is_chunked));
    }
    if is_chunked && (head.version != Version::HTTP_11 || !is_exactly_chunked(&head.headers)) {
        return Err(UnknownTransferCoding);
    }
    Ok(body)
}

/// Sets `Content-Length`, or removes it for `None`.
pub fn set(headers: &mut HeaderMap, length: Option<u64>) {
    match length {
        Some(length) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.remove(header::CONTENT_LENGTH);
        }
    }
}

/// Sets the framing of a request with this body: `Content-Length`, or `Transfer-Encoding` for a body whose end isn't
/// known in advance. `chunks` says whether the protocol needs the latter, as HTTP/1.1 does.
///
/// An empty body needs neither. The sender's `Content-Length: 0` is kept, because some servers require it.
pub fn set_for_request(headers: &mut HeaderMap, body: Option<u64>, chunks: bool) {
    headers.remove(header::TRANSFER_ENCODING);
    if body != Some(0) || headers.contains_key(header::CONTENT_LENGTH) {
        set(headers, body);
    }
    if body.is_none() && chunks {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// The length that `Content-Length` names. `None` without the header, and if its values aren't all the same number.
fn named(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(header::CONTENT_LENGTH).into_iter();
    let mut lengths = values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(digits);
    let first = lengths.next()??;
    lengths.all(|length| length == Some(first)).then_some(first)
}

/// `None` for anything but digits: Rust's numbers may have a sign.
fn digits(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| text.parse().ok())?
}

fn is_exactly_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    let first = codings.next().map(|coding| coding.as_bytes().trim_ascii());
    first.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    type Expected = Result<Option<u64>, UnknownTransferCoding>;

    fn length(method: &str, status: u16, version: Version, headers: &[(&'static str, &str)]) -> Expected {
        let mut response = Response::builder().status(status).version(version);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        of_response(&method.parse().unwrap(), &head, Some(7))
    }

    #[test]
    #[rustfmt::skip]
    fn the_length_of_a_response_is_that_of_the_body_that_was_read() {
        const LENGTH: (&str, &str) = ("content-length", "12");
        const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
        let (http_10, http_11, http_2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        let unknown = Err(UnknownTransferCoding);
        for (method, status, version, headers, expected) in [
            ("GET", 200, http_11, &[][..], Ok(Some(7))),
            ("GET", 200, http_10, &[LENGTH], Ok(Some(7))),
            ("GET", 200, http_11, &[LENGTH], Ok(Some(7))),
            ("GET", 200, http_2, &[LENGTH], Ok(Some(7))),
            ("GET", 200, http_11, &[LENGTH, CHUNKED], Ok(Some(7))),
            ("POST", 500, http_11, &[CHUNKED, LENGTH, LENGTH], Ok(Some(7))),
            ("GET", 200, http_11, &[("transfer-encoding", " Chunked ")], Ok(Some(7))),
            ("GET", 200, http_11, &[("transfer-encoding", "gzip, chunked")], unknown),
            ("GET", 200, http_11, &[("transfer-encoding", "gzip"), CHUNKED], unknown),
            ("GET", 200, http_11, &[CHUNKED, CHUNKED], unknown),
            ("GET", 200, http_11, &[("transfer-encoding", "identity")], unknown),
            ("GET", 200, http_11, &[("transfer-encoding", "")], unknown),
            ("GET", 200, http_10, &[CHUNKED], unknown),
            ("GET", 204, http_11, &[LENGTH], Ok(None)),
            ("GET", 204, http_11, &[("transfer-encoding", "gzip")], Ok(None)),
            ("HEAD", 204, http_2, &[LENGTH], Ok(None)),
            ("GET", 101, http_11, &[LENGTH], Ok(None)),
            ("HEAD", 200, http_11, &[LENGTH], Ok(Some(12))),
            ("GET", 304, http_2, &[LENGTH], Ok(Some(12))),
            ("HEAD", 200, http_11, &[], Ok(None)),
            ("HEAD", 200, http_11, &[CHUNKED, LENGTH], Ok(None)),
            ("GET", 304, http_11, &[("transfer-encoding", "gzip"), LENGTH], Ok(None)),
            ("HEAD", 200, http_10, &[LENGTH, LENGTH], Ok(Some(12))),
            ("HEAD", 200, http_11, &[("content-length", "12, 12")], Ok(Some(12))),
            ("HEAD", 200, http_11, &[("content-length", "12, 13")], Ok(None)),
            ("HEAD", 200, http_11, &[LENGTH, ("content-length", "13")], Ok(None)),
            ("HEAD", 200, http_11, &[("content-length", "+12")], Ok(None)),
            ("HEAD", 200, http_11, &[("content-length", "12,")], Ok(None)),
            ("HEAD", 200, http_11, &[("content-length", "")], Ok(None)),
            ("HEAD", 200, http_11, &[("content-length", "18446744073709551618")], Ok(None)),
        ] {
            assert_eq!(length(method, status, version, headers), expected, "{method} {status} {version:?} {headers:?}");
        }
    }

    #[test]
    fn a_request_is_framed_by_the_body_that_is_sent() {
        for (given, body, chunks, length, coding) in [
            (None, Some(0), true, None, None),
            (Some("0"), Some(0), true, Some("0"), None),
            (Some("9"), Some(0), true, Some("0"), None),
            (Some("9"), Some(5), true, Some("5"), None),
            (None, Some(5), false, Some("5"), None),
            (Some("9"), None, true, None, Some("chunked")),
            (Some("9"), None, false, None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("gzip"));
            if let Some(given) = given {
                headers.append(header::CONTENT_LENGTH, given.parse().unwrap());
            }
            set_for_request(&mut headers, body, chunks);
            let value = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap());
            let framing = (value(header::CONTENT_LENGTH), value(header::TRANSFER_ENCODING));
            assert_eq!(framing, (length, coding), "{given:?} {body:?} {chunks}");
        }
    }
}
