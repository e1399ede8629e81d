//! Foreign texts in the log. One that has several lines could imitate a line of the gateway's own.

use std::borrow::Cow;

/// Keeps a foreign text on one line. Quotation marks and backslashes are left to the log's format, which escapes the values
/// of fields itself: JSON would show them escaped twice.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(breaks) {
        Cow::Owned(text.replace(breaks, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
