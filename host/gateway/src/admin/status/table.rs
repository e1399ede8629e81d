//! The tables and lists of the status page. Where there is nothing to show there is no head either.

use std::fmt::Write as _;

use crate::html::escape;

/// A table with these names of its columns. Nothing if there are no rows. Cells are HTML.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut written = String::new();
    for row in rows {
        written.push_str("<tr>");
        for cell in row {
            let _ = write!(written, "<td>{cell}</td>");
        }
        written.push_str("</tr>\n");
    }
    if written.is_empty() {
        return written;
    }
    let mut table = String::from("<div class=\"wide\"><table>\n<thead><tr>");
    for name in head {
        let _ = write!(table, "<th scope=\"col\">{name}</th>");
    }
    let _ = write!(table, "</tr></thead>\n<tbody>\n{written}</tbody>\n</table></div>\n");
    table
}

/// A list of texts. Nothing if there are none.
pub(super) fn listed(items: &[String]) -> String {
    let mut list = String::new();
    for item in items {
        let _ = writeln!(list, "<li>{}</li>", escape(item));
    }
    match list.as_str() {
        "" => list,
        items => format!("<ul>\n{items}</ul>\n"),
    }
}
