//! The response to an HTTP/1.1 head that hyper rejects. hyper writes one by itself, with an empty body and without
//! asking the service; the service's response is sent instead.

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use portcullis_wire::framing::RejectedHead;

/// Finds hyper's own response at the end of what it writes. Returns what it writes before, and the status.
pub(super) fn automatic_response(written: &[u8]) -> Option<(&[u8], StatusCode)> {
    let head = written.strip_suffix(b"\r\n\r\n")?;
    let begin = head.windows(LINE.len()).rposition(|bytes| bytes == LINE)?;
    let (before, response) = head.split_at_checked(begin)?;
    let response = std::str::from_utf8(response).ok()?;
    let status = response.get(LINE.len()..)?.split(' ').next()?.parse().ok()?;
    let mut fields = Vec::from_iter(response.lines().skip(1).filter(|line| !line.starts_with("date: ")));
    fields.sort_unstable();
    let is_automatic = fields == ["connection: close", "content-length: 0"];
    (is_automatic && AUTOMATIC.contains(&status)).then_some((before, status))
}

/// The bytes of a response after which the connection ends.
pub(super) fn serialize<B>(head: &RejectedHead, response: Response<B>) -> Bytes
where
    B: http_body::Body<Data = Bytes>,
{
    let (mut parts, body) = response.into_parts();
    // The services' own responses are complete at once.
    let body = body.collect().now_or_never().and_then(Result::ok);
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    parts
        .headers
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(std::time::SystemTime::now())) {
        parts.headers.insert(header::DATE, date);
    }
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_u16()).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    if !head.is_head {
        bytes.extend(body);
    }
    bytes.into()
}

const LINE: &[u8] = b"HTTP/1.1 ";

/// The statuses of hyper's own responses.
const AUTOMATIC: [StatusCode; 3] = [
    StatusCode::BAD_REQUEST,
    StatusCode::URI_TOO_LONG,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
];

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[test]
    fn only_hypers_own_responses_are_found() {
        let date = "date: Thu, 26 Nov 2026 10:00:00 GMT";
        for (written, expected) in [
            (
                format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n\r\n"),
                Some(("", 400)),
            ),
            (
                format!(
                    "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n\r\n"
                ),
                Some(("", 431)),
            ),
            (
                format!(
                    "HTTP/1.1 200 OK\r\n\r\nokHTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n\r\n"
                ),
                Some(("HTTP/1.1 200 OK\r\n\r\nok", 400)),
            ),
            (
                format!("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n{date}\r\n\r\n"),
                None,
            ),
            (
                format!("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n{date}\r\n\r\n"),
                None,
            ),
            (
                format!("HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n{date}\r\n\r\n"),
                None,
            ),
            (
                format!("HTTP/1.1 400 Bad Request\r\nserver: x\r\ncontent-length: 0\r\n{date}\r\n\r\n"),
                None,
            ),
            (
                format!("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n{date}\r\n\r\nx"),
                None,
            ),
            ("\r\n\r\n".to_owned(), None),
            (String::new(), None),
        ] {
            let found = automatic_response(written.as_bytes());
            let found = found.map(|(before, status)| (std::str::from_utf8(before).unwrap(), status.as_u16()));
            assert_eq!(found, expected, "{written}");
        }
    }

    #[test]
    fn the_services_response_ends_the_connection() {
        for (is_head, body) in [(false, "no"), (true, "")] {
            let head = RejectedHead {
                is_head,
                target: String::new(),
            };
            let response = Response::builder().status(431).header("x-a", "1");
            let response = response.body(Full::new(Bytes::from("no"))).unwrap();
            let text = String::from_utf8(serialize(&head, response).to_vec()).unwrap();
            assert!(
                text.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
                "{text}"
            );
            for field in ["x-a: 1", "connection: close", "content-length: 2", "date: "] {
                assert!(text.contains(&format!("\r\n{field}")), "{text}");
            }
            assert!(text.ends_with(&format!("\r\n\r\n{body}")), "{text}");
        }
    }
}
