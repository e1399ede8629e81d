//! Writes log lines as text, in the form of `tracing-subscriber` without colours. The audit log has a line for each request,
//! and the library's code, which serves colours too, takes longer for it.

use std::fmt;
use std::time::SystemTime;

use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::field::VisitOutput as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::DefaultVisitor;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// The time of a line (RFC 3339), in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timestamp;

impl FormatTime for Timestamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", humantime::format_rfc3339_micros(SystemTime::now()))
    }
}

/// The fields of a line, as `name=value`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor {
            writer,
            is_first: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    /// Writes a field. The message, which may be a plugin's, and errors with their sources are left to the library.
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let separator = if self.is_first { "" } else { " " };
        self.is_first = false;
        if self.result.is_ok() {
            let writer = &mut self.writer;
            self.result = [separator, field.name(), "="]
                .into_iter()
                .try_for_each(|text| writer.write_str(text))
                .and_then(|()| value(writer));
        }
    }

    fn leave(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) {
        if self.result.is_ok() {
            let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_first);
            record(&mut visitor);
            self.result = visitor.finish();
        }
        self.is_first = false;
    }
}

impl Visit for Visitor<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| writer.write_str(if value { "true" } else { "false" }));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            MESSAGE => self.leave(|visitor| visitor.record_debug(field, value)),
            _ => self.write(field, |writer| write!(writer, "{value:?}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.leave(|visitor| visitor.record_error(field, value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.leave(|visitor| visitor.record_str(field, value)),
            _ if needs_escape(value) => self.write(field, |writer| write!(writer, "{value:?}")),
            _ => self.write(field, |writer| {
                ["\"", value, "\""]
                    .into_iter()
                    .try_for_each(|text| writer.write_str(text))
            }),
        }
    }
}

const MESSAGE: &str = "message";

/// Whether a text isn't itself between quotation marks. The other forms of plain text are left to the standard library.
fn needs_escape(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    !text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
