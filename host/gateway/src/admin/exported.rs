//! Which series `/metrics` has and a collector gets. What a reload removed is left out, because a gauge of it would be told for ever, such as a
//! server that isn't healthy or a certificate that expires. The recorder forgets it as soon as nobody counts it any more.

use std::collections::HashMap;
use std::collections::HashSet;

use metrics::Key;
use metrics_exporter_prometheus::formatting::sanitize_label_value;

/// The names of what exists, by the label that has them. Series with other labels are always exported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exported {
    names: HashMap<&'static str, HashSet<String>>,
    /// Pairs of an upstream and one of its servers.
    servers: HashSet<(String, String)>,
}

impl Exported {
    /// Exports only series whose label has one of these values, or which don't have the label.
    pub(crate) fn only(mut self, label: &'static str, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names = names.into_iter().map(|name| sanitize_label_value(name.as_ref()));
        self.names.insert(label, names.collect());
        self
    }

    /// Exports only series of these upstreams, and of these servers of them.
    pub(crate) fn only_servers(mut self, servers: impl IntoIterator<Item = (String, String)>) -> Self {
        let sanitized = |(upstream, server): (String, String)| {
            let server = sanitize_label_value(&server);
            (sanitize_label_value(&upstream), server)
        };
        self.servers = servers.into_iter().map(sanitized).collect();
        let upstreams = self.servers.iter().map(|(upstream, _)| upstream.clone()).collect();
        self.names.insert(UPSTREAM, upstreams);
        self
    }

    /// Leaves all other series out of a text in Prometheus's format.
    pub(super) fn filter(&self, text: &str) -> String {
        let lines = text.split_inclusive('\n');
        lines.filter(|line| self.includes(line)).collect()
    }

    fn includes(&self, line: &str) -> bool {
        match line.split_once('{').filter(|_| !line.starts_with('#')) {
            Some((_, labels)) => self.allows(Labels(labels)),
            None => true,
        }
    }

    /// Whether a series is exported.
    pub(super) fn covers(&self, key: &Key) -> bool {
        let labels = Vec::from_iter(
            key.labels()
                .map(|label| (label.key(), sanitize_label_value(label.value()))),
        );
        self.allows(labels.iter().map(|(label, value)| (*label, value.as_str())))
    }

    fn allows<'l>(&self, labels: impl Iterator<Item = (&'l str, &'l str)>) -> bool {
        let (mut upstream, mut server) = (None, None);
        for (label, value) in labels {
            if self.names.get(label).is_some_and(|names| !names.contains(value)) {
                return false;
            }
            match label {
                UPSTREAM => upstream = Some(value.to_owned()),
                SERVER => server = Some(value.to_owned()),
                _ => {}
            }
        }
        let pair = upstream.zip(server).filter(|_| self.names.contains_key(UPSTREAM));
        pair.is_none_or(|pair| self.servers.contains(&pair))
    }
}

const UPSTREAM: &str = "upstream";
const SERVER: &str = "server";

/// The labels of a sample and their values, as they are written: `a="x",b="y"} 1`.
struct Labels<'t>(&'t str);

impl<'t> Iterator for Labels<'t> {
    type Item = (&'t str, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let (label, rest) = self.0.split_once("=\"")?;
        let mut is_escaped = false;
        let end = rest.bytes().position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        })?;
        let (value, rest) = rest.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        Some((label.trim_start_matches(','), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_left_out_and_all_else_stays() {
        let exported = Exported::default()
            .only("route", ["", "/a", r#"/"b", x="c"}"#])
            .only_servers([("u".to_owned(), "s:1".to_owned()), ("v".to_owned(), "s:2".to_owned())]);
        for (line, expected) in [
            ("# TYPE a{route=\"/x\"} counter\n", true),
            ("a 1\n", true),
            ("a{code=\"200\"} 1\n", true),
            ("a{route=\"/a\",code=\"200\"} 1\n", true),
            ("a{code=\"200\",route=\"\"} 1\n", true),
            ("a{route=\"/\\\"b\\\", x=\\\"c\\\"}\"} 1\n", true),
            ("a{route=\"/x\",code=\"200\"} 1\n", false),
            ("a_bucket{route=\"/x\",le=\"0.1\"} 1\n", false),
            ("a{code=\",route=\\\"/x\\\"\"} 1\n", true),
            ("a{upstream=\"u\"} 1\n", true),
            ("a{upstream=\"x\"} 1\n", false),
            ("a{upstream=\"u\",server=\"s:1\",outcome=\"answered\"} 1\n", true),
            ("a{upstream=\"u\",server=\"s:2\",outcome=\"answered\"} 1\n", false),
            ("a{server=\"other\"} 1\n", true),
            ("\n", true),
        ] {
            assert_eq!(exported.filter(line) == line, expected, "{line}");
            assert_eq!(Exported::default().filter(line), line);
        }
        let key = |labels: &[(&'static str, &'static str)]| Key::from_parts("a", labels);
        assert!(exported.covers(&key(&[])) && exported.covers(&key(&[("code", "200"), ("route", "/a")])));
        assert!(exported.covers(&key(&[("route", "/\"b\", x=\"c\"}")])) && !exported.covers(&key(&[("route", "/x")])));
        assert!(exported.covers(&key(&[("upstream", "u"), ("server", "s:1")])));
        assert!(!exported.covers(&key(&[("upstream", "u"), ("server", "s:2")])));
        assert_eq!(exported.filter("a 1\nb{route=\"/x\"} 2\nc 3\n"), "a 1\nc 3\n");
    }

    #[test]
    fn names_are_compared_as_the_recorder_writes_them() {
        for name in ["/a", "/\"", "\\", "a\\\\b", "a\\\"b", "x\ny", "ä", "\\n"] {
            let line = format!("a{{route=\"{}\",b=\"c\"}} 1\n", sanitize_label_value(name));
            assert_eq!(Exported::default().only("route", [name]).filter(&line), line);
            assert_eq!(Exported::default().only("route", ["other"]).filter(&line), "");
        }
    }
}
