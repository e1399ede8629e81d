//! The descriptions of keys, read from the tables of `docs/configuration.md`, so that editors say what the page says.

use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// Sections whose keys the page describes elsewhere, and where.
const LIKE: [(&str, &str); 6] = [
    ("authorizers.NAME", "authenticators.NAME"),
    ("ext_authz.tls", "server.tls"),
    ("ext_authz.tls.certificates", "server.tls"),
    ("forward_auth.tls", "server.tls"),
    ("forward_auth.tls.certificates", "server.tls"),
    ("server.tls.certificates", "server.tls"),
];

/// What the page says of a key or a section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Row {
    /// The names that lead to it. `NAME` stands for any name.
    path: Vec<String>,
    /// What it is, in Markdown.
    description: String,
    /// Whether the schema need not have it, because it is a section like another one, but with fewer keys.
    is_copy: bool,
}

impl Row {
    /// Puts the description into a schema. Returns whether there is such a key.
    pub(super) fn describe(&self, schema: &mut Value) -> bool {
        describe(schema, &self.path, &self.description) || self.is_copy
    }
}

fn describe(schema: &mut Value, path: &[String], description: &str) -> bool {
    let Some(object) = schema.as_object_mut() else {
        return false;
    };
    let Some((name, below)) = path.split_first() else {
        // What the reader expects follows what the page says.
        let expected = object.get("description").and_then(Value::as_str);
        let expected = expected.filter(|expected| *expected != description);
        let both = expected.map_or_else(
            || description.to_owned(),
            |expected| format!("{description}\n\nExpected: {expected}"),
        );
        object.insert("description".to_owned(), both.into());
        return true;
    };
    let mut is_there = false;
    if let Some(inner) = object.get_mut("properties").and_then(|keys| keys.get_mut(name)) {
        is_there |= describe(inner, below, description);
    }
    if name == "NAME"
        && let Some(inner) = object.get_mut("additionalProperties")
    {
        is_there |= describe(inner, below, description);
    }
    if let Some(items) = object.get_mut("items") {
        is_there |= describe(items, path, description);
    }
    for inner in object
        .get_mut("anyOf")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        is_there |= describe(inner, path, description);
    }
    is_there
}

/// All rows of the page, and those of sections that are like others.
pub(super) fn rows() -> Vec<Row> {
    let rows = parse(PAGE);
    let copies = LIKE.iter().flat_map(|(section, like)| {
        let (section, like) = (path(section), path(like));
        let below = rows.iter().filter_map(move |row| {
            let below = row.path.strip_prefix(like.as_slice())?;
            Some(Row {
                path: section.iter().chain(below).cloned().collect(),
                is_copy: true,
                ..row.clone()
            })
        });
        Vec::from_iter(below.filter(|row| !rows.iter().any(|own| own.path == row.path)))
    });
    copies.chain(rows.iter().cloned()).collect()
}

/// Reads the tables whose first column is `key`, below headings that name a section, such as `[server]`. The section may also stand
/// at the beginning of the text below a heading.
fn parse(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut section: Option<Vec<String>> = None;
    // The places of the columns of a table of keys.
    let mut columns: Option<Vec<String>> = None;
    for paragraph in without_code(page).split("\n\n") {
        let paragraph = paragraph.trim_start_matches('\n');
        if paragraph.starts_with('#') {
            section = quoted(paragraph).next().and_then(named_section);
            continue;
        }
        if !paragraph.starts_with('|') {
            let begins = paragraph.strip_prefix('`').and_then(|rest| rest.split('`').next());
            if let Some(named) = begins.filter(|begins| begins.starts_with('[')) {
                section = named_section(named);
            }
            let path = section.as_deref().unwrap_or_default();
            // A section for any name is told by the one above it.
            let path = path.strip_suffix(&["NAME".to_owned()]).unwrap_or(path);
            if !path.is_empty() && !paragraph.is_empty() && !rows.iter().any(|row: &Row| row.path == path) {
                rows.push(Row {
                    path: path.to_vec(),
                    description: plain(&paragraph.replace('\n', " ")),
                    is_copy: false,
                });
            }
            continue;
        }
        for line in paragraph.lines() {
            let cells = Vec::from_iter(cells(line));
            match (&columns, cells.first()) {
                (None, Some(first)) if first == "key" => columns = Some(cells),
                (Some(names), Some(keys)) => {
                    let cell = |name: &str| cells.get(names.iter().position(|column| column == name)?);
                    let description = cell("description").map(|text| plain(text)).unwrap_or_default();
                    let default = cell("default").map(|text| plain(text)).filter(|text| !text.is_empty());
                    let default = default.map(|text| format!("\n\nDefault: {text}")).unwrap_or_default();
                    for key in quoted(keys) {
                        let path = section.iter().flatten().cloned().chain([key.to_owned()]);
                        rows.push(Row {
                            path: path.collect(),
                            description: format!("{description}{default}"),
                            is_copy: false,
                        });
                    }
                }
                _ => {}
            }
        }
        columns = None;
    }
    rows
}

/// A page without its blocks of code, which may have empty lines.
fn without_code(page: &str) -> String {
    let mut is_code = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The path of a section as it is written in a file: `[[server.passthrough]]`, or a key beside all sections: `state`.
fn named_section(text: &str) -> Option<Vec<String>> {
    let name = text.trim_start_matches('[').trim_end_matches(']');
    let is_section = name != text;
    let is_key = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_section || is_key(name)).then(|| path(name))
}

/// The names of a path. One in quotes stands for any name.
fn path(text: &str) -> Vec<String> {
    let names = text.split('.');
    names
        .map(|name| if name.starts_with('"') { "NAME" } else { name }.to_owned())
        .collect()
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of a line of a table, except those of the line below its head.
fn cells(line: &str) -> impl Iterator<Item = String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    let is_rule = inner.bytes().all(|byte| b"-|: ".contains(&byte));
    let cells = inner.split(" | ").map(|cell| cell.trim().to_owned());
    cells.filter(move |_| !is_rule)
}

/// A text without its links, which lead from the page.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        rest = match link.split_once("](") {
            Some((words, target)) if !words.contains(['[', ']', '`']) || words.starts_with('`') => {
                plain.push_str(words);
                target.split_once(')').map_or("", |(_, rest)| rest)
            }
            _ => {
                plain.push('[');
                link
            }
        };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_their_sections() {
        let page = "# T\n\n## `[server]`\n\nThe [listener](#x) of\nall.\n\n| key | description | default |\n|---|---|---|\n\
                    | `a`, `b` | what [it](y.md#z) is | `1` |\n\n### Other\n\n| value | meaning |\n|---|---|\n| `c` | no key |\n\n\
                    `[[server.list]]`:\n\n| key | description |\n|---|---|\n| `d` | x |\n\n## `top`\n\n```toml\ntop = 1\n\n# no\n```\n\n\
                    A key.\n\n## `[registries.\"HOST\"]`\n\n| key | default | description |\n|---|---|---|\n| `e` | none | y |\n";
        let found = parse(page);
        let found = Vec::from_iter(found.iter().map(|row| (row.path.join("."), row.description.as_str())));
        let expected = [
            ("server", "The listener of all."),
            ("server.a", "what it is\n\nDefault: `1`"),
            ("server.b", "what it is\n\nDefault: `1`"),
            ("server.list", "`[[server.list]]`:"),
            ("server.list.d", "x"),
            ("top", "A key."),
            ("registries.NAME.e", "y\n\nDefault: none"),
        ];
        assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text)));
    }
}
