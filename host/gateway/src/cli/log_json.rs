//! Writes log lines as JSON, in the form of `tracing-subscriber` with the fields beside the message, and without spans, of which
//! the gateway has none. The audit log has a line for each request, and the library takes three times as many instructions
//! for it, because it writes a line in some hundred pieces.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use serde::Serializer as _;
use serde::ser::SerializeMap;
use serde_json::Serializer;
use tracing::Event;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::FormatEvent;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::registry::LookupSpan;

/// Lines of JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Vec::with_capacity(USUAL);
        write(&mut line, event, usize::MAX).map_err(|_| fmt::Error)?;
        line.push(b'\n');
        writer.write_str(str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

/// The members of an event's JSON object, without its braces. No text is longer than `most` bytes. `None` if it can't be written.
pub(super) fn members(event: &Event<'_>, most: usize) -> Option<Vec<u8>> {
    let mut line = Vec::with_capacity(USUAL);
    write(&mut line, event, most).ok()?;
    line.pop()?;
    line.remove(0);
    Some(line)
}

/// The size of most lines at most, in bytes.
const USUAL: usize = 1024;

fn write(line: &mut Vec<u8>, event: &Event<'_>, most: usize) -> serde_json::Result<()> {
    let mut serializer = Serializer::new(line);
    let mut map = serializer.serialize_map(None)?;
    let time = humantime::format_rfc3339_micros(SystemTime::now());
    map.serialize_entry("timestamp", &format_args!("{time}"))?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    let mut fields = Fields {
        map,
        most,
        result: Ok(()),
    };
    event.record(&mut fields);
    fields.result?;
    let mut map = fields.map;
    map.serialize_entry("target", event.metadata().target())?;
    map.end()
}

/// Writes fields until one can't be written.
struct Fields<M: SerializeMap> {
    map: M,
    /// The length of the longest text, in bytes. What is beyond is left out.
    most: usize,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<M> {
    fn write(&mut self, field: &Field, value: &(impl serde::Serialize + ?Sized)) {
        if self.result.is_ok() {
            self.result = self.map.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for Fields<M> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match self.most {
            usize::MAX => self.write(field, &format_args!("{value:?}")),
            most => self.write(field, &*shortened(&format!("{value:?}"), most)),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, &*shortened(value, self.most));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value);
    }
}

/// At most about this much of a text, with a mark where it was cut.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(most);
    Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
