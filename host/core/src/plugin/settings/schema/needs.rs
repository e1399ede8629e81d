//! Collects what settings need of the rest of the configuration. A schema says it with annotations, which count where the
//! schema applies to a value (JSON Schema 2020-12, section 7.7).

use serde_json::Value;

use super::Keyword;
use super::Node;
use super::NodeId;
use super::Properties;
use super::Schema;
use super::budget::Exhausted;
use super::check::Checker;
use super::check::of_items;
use crate::grants::GrantKey;

/// What a setting needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super) enum Kind {
    /// It names something that must be granted: the key of the grants that has to list it.
    Grant(GrantKey),
    /// Whatever its value is, this must be granted.
    Named(GrantKey, String),
    /// It is the longest time for a request, of which a call may send this many in a row.
    Requests(u32),
}

/// A setting that needs something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super) struct Need {
    pub(in super::super) path: Vec<String>,
    pub(in super::super) value: Value,
    pub(in super::super) kind: Kind,
}

impl Kind {
    /// Parses the annotation. Returns `None` if its value is malformed.
    pub(super) fn parse(keyword: &str, value: &Value) -> Option<Self> {
        if keyword == "x-portcullis-requests" {
            let count = value.as_u64().filter(|count| (1..=MAX_REQUESTS).contains(count))?;
            return u32::try_from(count).ok().map(Self::Requests);
        }
        match value {
            Value::String(key) => grant_key(key).map(Self::Grant),
            Value::Object(named) if named.len() == 1 => {
                let (key, name) = named.iter().next()?;
                Some(Self::Named(grant_key(key)?, name.as_str()?.to_owned()))
            }
            _ => None,
        }
    }
}

/// The key of the grants with this name, if its values are names.
fn grant_key(label: &str) -> Option<GrantKey> {
    let keys = [
        GrantKey::Cookies,
        GrantKey::Headers,
        GrantKey::Http,
        GrantKey::Login,
        GrantKey::Negotiate,
        GrantKey::Query,
        GrantKey::Signing,
    ];
    keys.into_iter().find(|key| key.label() == label)
}

/// The most requests in a row that an annotation may name.
const MAX_REQUESTS: u64 = 1000;

/// The most needs that are collected.
const MAX_NEEDS: usize = 1000;

/// All needs of a value that matches the schema.
pub(super) fn collect(schema: &Schema<'_>, value: &Value) -> Result<Vec<Need>, Exhausted> {
    let mut collector = Collector {
        checker: Checker::new(schema),
        found: Vec::new(),
    };
    collector.walk(NodeId(0), value)?;
    Ok(collector.found)
}

struct Collector<'a, 's> {
    checker: Checker<'a, 's>,
    found: Vec<Need>,
}

impl<'s> Collector<'_, 's> {
    fn walk(&mut self, id: NodeId, value: &Value) -> Result<(), Exhausted> {
        let schema = self.checker.schema;
        self.checker.budget.descend()?;
        if let Node::Keywords(keywords) = schema.node(id) {
            for keyword in keywords {
                self.checker.budget.pay(1)?;
                self.follow(keyword, value)?;
            }
        }
        self.checker.budget.ascend();
        Ok(())
    }

    fn walk_at(&mut self, key: String, id: NodeId, value: &Value) -> Result<(), Exhausted> {
        self.checker.budget.pay_for_text(&key)?;
        self.checker.path.push(key);
        let walked = self.walk(id, value);
        self.checker.path.pop();
        walked
    }

    fn follow(&mut self, keyword: &Keyword<'s>, value: &Value) -> Result<(), Exhausted> {
        match (keyword, value) {
            (Keyword::Need(kind), _) => self.need(kind, value),
            (Keyword::Reference(id), _) => self.walk(*id, value),
            (Keyword::AllOf(forms), _) => forms.iter().try_for_each(|form| self.walk(*form, value)),
            (Keyword::AnyOf(forms) | Keyword::OneOf(forms), _) => forms.iter().try_for_each(|form| {
                let fits = self.checker.fits(*form, value)?;
                if fits { self.walk(*form, value) } else { Ok(()) }
            }),
            (Keyword::Conditional(conditional), _) => {
                let branch = self.checker.branch(*conditional, value)?;
                branch.map_or(Ok(()), |branch| self.walk(branch, value))
            }
            (Keyword::Items { first, rest }, Value::Array(items)) => of_items(first, *rest, items)
                .try_for_each(|(index, id, item)| self.walk_at(index.to_string(), id, item)),
            (Keyword::Properties(properties), Value::Object(members)) => {
                for (name, member) in members {
                    for id in self.checker.of_property(name, properties)? {
                        self.walk_at(name.clone(), id, member)?;
                    }
                }
                self.defaults(properties, |name| members.contains_key(name))
            }
            _ => Ok(()),
        }
    }

    /// A property that is left out has its default.
    fn defaults(&mut self, properties: &Properties<'s>, is_set: impl Fn(&str) -> bool) -> Result<(), Exhausted> {
        let schema = self.checker.schema;
        for (name, id) in &properties.named {
            self.checker.budget.pay_for_text(name)?;
            if let Node::Keywords(keywords) = schema.node(*id)
                && !is_set(name)
            {
                for keyword in keywords {
                    if let Keyword::Default(value) = keyword {
                        self.walk_at((*name).to_owned(), *id, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn need(&mut self, kind: &Kind, value: &Value) -> Result<(), Exhausted> {
        self.checker.pay_for(value)?;
        self.checker.budget.pay(self.found.len())?;
        for key in &self.checker.path {
            self.checker.budget.pay_for_text(key)?;
        }
        let need = Need {
            path: self.checker.path.clone(),
            value: value.clone(),
            kind: kind.clone(),
        };
        if self.found.len() < MAX_NEEDS && !self.found.contains(&need) {
            self.found.push(need);
        }
        Ok(())
    }
}
