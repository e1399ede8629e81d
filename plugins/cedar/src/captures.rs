//! Parts of paths that become attributes of resources, by regular expressions with named groups.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use portcullis_sdk::SettingsError;
use regex_lite::Regex;

use crate::schema::OF_PATH;

/// The regular expressions.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    expressions: Vec<Regex>,
    names: BTreeSet<String>,
}

impl Captures {
    pub(crate) fn parse(settings: &[String]) -> Result<Self, SettingsError> {
        let mut captures = Self::default();
        for (index, text) in settings.iter().enumerate() {
            let expression = Regex::new(text).map_err(|error| format!("captures[{index}]: {error}"))?;
            let names = Vec::from_iter(expression.capture_names().flatten().map(str::to_owned));
            if names.is_empty() {
                return Err(format!("captures[{index}]: it has no named group, such as (?<team>[a-z]+)").into());
            }
            if let Some(name) = names.iter().find(|name| OF_PATH.contains(&name.as_str())) {
                return Err(
                    format!("captures[{index}]: resources have an attribute {name:?} of another meaning").into(),
                );
            }
            captures.names.extend(names);
            captures.expressions.push(expression);
        }
        Ok(captures)
    }

    /// The names of the attributes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// The names for a schema.
    pub(crate) const fn set(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// The attributes of a path. If several expressions capture the same name, the first one counts.
    pub(crate) fn of<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut found = BTreeMap::new();
        for expression in &self.expressions {
            let Some(matched) = expression.captures(path) else {
                continue;
            };
            for name in expression.capture_names().flatten() {
                if let Some(value) = matched.name(name) {
                    found.entry(name).or_insert(value.as_str());
                }
            }
        }
        found.into_iter()
    }
}
