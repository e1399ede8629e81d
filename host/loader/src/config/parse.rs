//! Parses the text of a document as TOML 1.0. An error says where, in words of the reader.

use toml_span::value;
use toml_span::value::ValueInner;

use crate::config::document::Document;

/// Parses a text, which is the document or stands in it. Reports a syntax error and returns `None` if it isn't TOML.
pub(super) fn parse<'t>(document: &Document<'_>, text: &'t str) -> Option<value::Table<'t>> {
    match toml_span::parse(text) {
        Ok(mut root) => match root.take() {
            ValueInner::Table(entries) => Some(entries),
            // A document is a table.
            _ => None,
        },
        Err(error) => {
            let line = document.line(error.span.start);
            let written = text.lines().nth(line.unwrap_or_default().saturating_sub(1));
            let message = if has_date(written.unwrap_or_default()) {
                "dates and times aren't supported: write them in quotes".to_owned()
            } else {
                format!("not TOML: {error}")
            };
            document.report(document.location().line(line).error(message));
            None
        }
    }
}

/// Whether a line has a date or a time (TOML 1.0, "Offset Date-Time"), which the parser doesn't know.
fn has_date(line: &str) -> bool {
    // Neither in quotes nor in a comment.
    let code = line.split('#').next().unwrap_or(line);
    let bare = code.split(['"', '\'']).step_by(2).collect::<Vec<_>>().join(" ");
    let of_form = |form: &[u8]| {
        let fits = |(byte, expected): (&u8, &u8)| match expected {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        let mut places = bare.as_bytes().windows(form.len());
        places.any(|place| place.iter().zip(form).all(fits))
    };
    of_form(b"0000-00-00") || of_form(b"00:00:00")
}
