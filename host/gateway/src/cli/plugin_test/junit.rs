//! The results in the JUnit format: XML that CI systems read. The few elements that they agree on are written here.

use std::fmt::Write;
use std::time::Duration;

use super::report::Outcome;

/// The document for one file of cases. `class` is what the cases are about, the plugin.
pub(super) fn document(suite: &str, class: &str, outcomes: &[Outcome]) -> String {
    let failures = outcomes.iter().filter(|outcome| !outcome.has_passed()).count();
    let time: Duration = outcomes.iter().map(|outcome| outcome.answer.elapsed).sum();
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{:.6}\"",
        outcomes.len(),
        time.as_secs_f64()
    );
    let suite = escaped(suite);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite name=\"{suite}\" {counts}>\n"
    );
    for outcome in outcomes {
        // Writing to a string can't fail.
        let _ = write!(
            xml,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\"",
            escaped(class),
            escaped(&outcome.name),
            outcome.answer.elapsed.as_secs_f64()
        );
        if outcome.has_passed() {
            xml.push_str("/>\n");
            continue;
        }
        let message = outcome.differences.iter().map(ToString::to_string);
        let _ = writeln!(
            xml,
            "><failure message=\"{}\">{}</failure></testcase>",
            escaped(&Vec::from_iter(message).join("; ")),
            escaped(&outcome.lines().join("\n"))
        );
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

/// A text for an attribute in double quotes, or between tags. What XML 1.0 can't hold (section 2.2), and other control
/// characters that a viewer might obey, are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            control if control.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_an_element_or_an_attribute() {
        for (text, expected) in [
            ("a plain text, ü ✓", "a plain text, ü ✓"),
            (
                "]]><x a='b' c=\"d\">&amp;",
                "]]&gt;&lt;x a='b' c=&quot;d&quot;&gt;&amp;amp;",
            ),
            (
                "a\0b\u{1b}[31m\r\u{85}\u{ffff}\u{fffe}",
                "a\u{fffd}b\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("two\nlines", "two\nlines"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
