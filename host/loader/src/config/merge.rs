//! Puts the tables of several texts together. Tables are merged, lists of tables are joined, and any other key may stand once.

use toml_span::Span;
use toml_span::Value;
use toml_span::value;
use toml_span::value::ValueInner;

/// A copy of a table whose spans are moved by `begin`.
pub(super) fn moved(entries: value::Table<'_>, begin: usize) -> value::Table<'static> {
    let entry = |(key, value): (value::Key<'_>, Value<'_>)| {
        let key = value::Key {
            name: key.name.into_owned().into(),
            span: moved_span(key.span, begin),
        };
        (key, moved_value(value, begin))
    };
    entries.into_iter().map(entry).collect()
}

/// A copy of a value whose spans are moved by `begin`.
pub(super) fn moved_value(mut value: Value<'_>, begin: usize) -> Value<'static> {
    let span = moved_span(value.span, begin);
    let inner = match value.take() {
        ValueInner::Array(items) => ValueInner::Array(items.into_iter().map(|item| moved_value(item, begin)).collect()),
        ValueInner::Boolean(value) => ValueInner::Boolean(value),
        ValueInner::Float(number) => ValueInner::Float(number),
        ValueInner::Integer(number) => ValueInner::Integer(number),
        ValueInner::String(text) => ValueInner::String(text.into_owned().into()),
        ValueInner::Table(entries) => ValueInner::Table(moved(entries, begin)),
    };
    Value::with_span(inner, span)
}

fn moved_span(span: Span, begin: usize) -> Span {
    Span::new(span.start + begin, span.end + begin)
}

/// A key that stands in two texts.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Twice {
    /// The names that lead to it.
    pub(super) path: Vec<String>,
    /// Where it stands first.
    pub(super) first: Span,
    /// Where it stands again.
    pub(super) again: Span,
}

/// Merges a table into another one, whose values stay where both have one.
pub(super) fn merge(
    into: &mut value::Table<'static>,
    from: value::Table<'static>,
    path: &mut Vec<String>,
    twice: &mut Vec<Twice>,
) {
    for (key, mut value) in from {
        let Some((known, mut old)) = into.remove_entry(&*key.name) else {
            into.insert(key, value);
            continue;
        };
        path.push(key.name.to_string());
        let merged = match (old.take(), value.take()) {
            (ValueInner::Table(mut one), ValueInner::Table(other)) => {
                merge(&mut one, other, path, twice);
                ValueInner::Table(one)
            }
            (ValueInner::Array(one), ValueInner::Array(other)) if are_tables(&one) && are_tables(&other) => {
                ValueInner::Array(one.into_iter().chain(other).collect())
            }
            (one, _) => {
                twice.push(Twice {
                    path: path.clone(),
                    first: known.span,
                    again: key.span,
                });
                one
            }
        };
        path.pop();
        let span = old.span;
        into.insert(known, Value::with_span(merged, span));
    }
}

fn are_tables(items: &[Value<'_>]) -> bool {
    items.iter().all(|item| item.as_table().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, begin: usize) -> value::Table<'static> {
        let mut root = toml_span::parse(text).unwrap();
        let ValueInner::Table(entries) = root.take() else {
            panic!("{text}")
        };
        moved(entries, begin)
    }

    /// The merged tables as text, and the keys that stand twice.
    fn merged(one: &str, other: &str) -> (String, Vec<String>) {
        let mut into = table(one, 0);
        let mut twice = Vec::new();
        merge(&mut into, table(other, 100), &mut Vec::new(), &mut twice);
        let twice = twice.iter().map(|twice| {
            assert!(twice.first.start < 100 && twice.again.start >= 100, "{twice:?}");
            twice.path.join(".")
        });
        (format!("{into:?}"), twice.collect())
    }

    #[test]
    fn tables_are_merged_and_lists_of_tables_are_joined() {
        for (one, other, whole, twice) in [
            ("", "a = 1", "a = 1", ""),
            ("[a]\nb = 1", "[a]\nc = 2", "[a]\nb = 1\nc = 2", ""),
            ("a = { b = 1 }", "[a.c]\nd = 2", "[a]\nb = 1\nc = { d = 2 }", ""),
            ("[[r]]\nx = 1", "[[r]]\nx = 2", "r = [{ x = 1 }, { x = 2 }]", ""),
            (
                "[a]\nr = [{ x = 1 }]",
                "[[a.r]]\nx = 2",
                "[a]\nr = [{ x = 1 }, { x = 2 }]",
                "",
            ),
            ("a = 1", "a = 1", "a = 1", "a"),
            ("[a]\nb = [1]", "[a]\nb = [2]", "[a]\nb = [1]", "a.b"),
            ("[a]\nb = 1", "a = 2", "[a]\nb = 1", "a"),
            ("a = []", "a = [1]", "a = []", "a"),
            ("[[r]]\nx = 1", "r = [1]", "r = [{ x = 1 }]", "r"),
            ("[a]\nb = 1\nc = 1", "[a]\nb = 2\nc = 2", "[a]\nb = 1\nc = 1", "a.b a.c"),
        ] {
            let (found, again) = merged(one, other);
            assert_eq!(found, format!("{:?}", table(whole, 0)), "{one} and {other}");
            assert_eq!(again.join(" "), twice, "{one} and {other}");
        }
    }
}
