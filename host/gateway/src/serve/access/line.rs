//! The lines of the access log. A line has no query, because a query can carry credentials.

use std::fmt::Write as _;
use std::time::Duration;
use std::time::SystemTime;

use http::StatusCode;

use super::Head;
use crate::config::AccessLogFormat;
use crate::pipeline::Record;

/// What a line tells.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) head: &'a Head,
    pub(super) record: &'a Record,
    pub(super) status: StatusCode,
    /// The length of the body that was sent.
    pub(super) bytes: u64,
    /// Whether the body was sent to its end.
    pub(super) is_complete: bool,
    pub(super) elapsed: Duration,
}

impl Line<'_> {
    /// The line with its end.
    pub(super) fn format(&self, format: AccessLogFormat) -> String {
        match format {
            AccessLogFormat::Combined => self.combined(),
            AccessLogFormat::Json => self.json(),
        }
    }

    fn json(&self) -> String {
        let Self { head, record, .. } = self;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let line = serde_json::json!({
            "time": rfc_3339(head.time),
            "request_id": head.id.as_str(),
            "client": head.client,
            "method": head.method.as_str(),
            "host": head.host,
            "path": head.path,
            "protocol": format!("{:?}", head.version),
            "status": self.status.as_u16(),
            "bytes": self.bytes,
            "complete": self.is_complete,
            "duration_us": micros(self.elapsed),
            "authenticators_us": micros(record.authentication()),
            "upstream_us": micros(record.upstream()),
            "user": record.user(),
            "route": record.route(),
            "user_agent": head.agent,
            "referer": head.referer,
        });
        format!("{line}\n")
    }

    /// `%h - %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`
    fn combined(&self) -> String {
        let Self { head, record, .. } = self;
        let text = |text: Option<&str>| escaped(text.unwrap_or("-"));
        let user = escaped(record.user().unwrap_or("-")).replace(' ', "\\x20");
        format!(
            "{} - {user} [{}] \"{} {} {:?}\" {} {} \"{}\" \"{}\"\n",
            head.client,
            common_log_time(head.time),
            head.method,
            escaped(&head.path),
            head.version,
            self.status.as_u16(),
            self.bytes,
            text(head.referer.as_deref()),
            text(head.agent.as_deref()),
        )
    }
}

/// Escapes what could end the field or the line, as Apache does.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            character if character.is_control() => {
                // Writing to a string can't fail.
                let _ = write!(escaped, "\\x{:02x}", u32::from(character));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

fn rfc_3339(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}

/// `26/Nov/2026:19:11:57 +0000`, from the date of HTTP: `Thu, 26 Nov 2026 19:11:57 GMT`.
fn common_log_time(time: SystemTime) -> String {
    let date = httpdate::fmt_http_date(time);
    let mut parts = date.split([' ', ',']).filter(|part| !part.is_empty()).skip(1);
    let [day, month, year, clock] =
        [parts.next(), parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    format!("{day}/{month}/{year}:{clock} +0000")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn no_text_ends_its_field_or_its_line() {
        assert_eq!(escaped("a\"b\\c\nd\u{1b}"), "a\\\"b\\\\c\\x0ad\\x1b");
        assert_eq!(escaped("Mozilla/5.0 (é)"), "Mozilla/5.0 (é)");
    }

    #[test]
    fn times_have_the_usual_forms() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_720_317);
        assert_eq!(common_log_time(time), "26/Nov/2026:19:11:57 +0000");
        assert_eq!(rfc_3339(time), "2026-11-26T19:11:57.000000Z");
    }
}
