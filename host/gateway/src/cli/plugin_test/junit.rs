//! The results in the JUnit format: XML that CI systems read. The few elements that they agree on are written here.

use std::fmt::Write;
use std::time::Duration;

/// One result.
#[derive(Debug)]
pub(in crate::cli) struct TestCase<'o> {
    /// The name, which no other result has.
    pub(in crate::cli) name: &'o str,
    /// How long it took.
    pub(in crate::cli) elapsed: Duration,
    /// Why it failed. `None` if it has passed.
    pub(in crate::cli) failure: Option<Failure>,
}

/// Why something failed.
#[derive(Debug)]
pub(in crate::cli) struct Failure {
    /// In one line.
    pub(in crate::cli) message: String,
    /// With what helps to understand it.
    pub(in crate::cli) text: String,
}

/// The document for one run. `class` is what the results are about, the plugin.
pub(in crate::cli) fn document(suite: &str, class: &str, results: &[TestCase<'_>]) -> String {
    let failures = results.iter().filter(|result| result.failure.is_some()).count();
    let time: Duration = results.iter().map(|result| result.elapsed).sum();
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{:.6}\"",
        results.len(),
        time.as_secs_f64()
    );
    let suite = escaped(suite);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite name=\"{suite}\" {counts}>\n"
    );
    for result in results {
        // Writing to a string can't fail.
        let _ = write!(
            xml,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\"",
            escaped(class),
            escaped(result.name),
            result.elapsed.as_secs_f64()
        );
        let Some(Failure { message, text }) = &result.failure else {
            xml.push_str("/>\n");
            continue;
        };
        let _ = writeln!(
            xml,
            "><failure message=\"{}\">{}</failure></testcase>",
            escaped(message),
            escaped(text)
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
