//! JSON Schemas of draft 2020-12, as plugins write them for their settings. A plugin may be hostile, so the work that a
//! schema can cause is bounded, and a schema with a keyword that isn't supported is an error.

mod bounds;
mod budget;
mod check;
mod complaint;
mod needs;
mod number;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;
use std::collections::HashSet;

use serde_json::Value;

use self::bounds::Bound;
use self::bounds::Limit;
pub(super) use self::budget::Exhausted;
pub(super) use self::complaint::Complaint;
pub(super) use self::complaint::Expected;
pub(super) use self::complaint::Fault;
pub(super) use self::needs::Kind;
pub(super) use self::needs::Need;
use self::pattern::Pattern;
use self::types::Types;

/// Why a schema can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct SchemaError(String);

/// A parsed schema. It borrows from the document that it was parsed from.
#[derive(Debug)]
pub(super) struct Schema<'s> {
    nodes: Vec<Node<'s>>,
}

/// One schema of the document: the root or a subschema.
#[derive(Debug)]
enum Node<'s> {
    /// `true` or `false`.
    Always(bool),
    Keywords(Vec<Keyword<'s>>),
}

/// The number of a node. References are numbers too, so that schemas can refer to each other recursively.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct NodeId(usize);

/// A keyword of a schema. Keywords that depend on each other are combined into one.
#[derive(Debug)]
enum Keyword<'s> {
    AllOf(Vec<NodeId>),
    AnyOf(Vec<NodeId>),
    Conditional(Conditional),
    /// `default`, an annotation.
    Default(&'s Value),
    DependentRequired(BTreeMap<&'s str, Vec<&'s str>>),
    ItemCount(Bound),
    Items {
        first: Vec<NodeId>,
        rest: Option<NodeId>,
    },
    Length(Bound),
    Limit(Limit<'s>),
    Listed(Listed<'s>),
    MultipleOf(u64),
    /// `x-portcullis-grant` or `x-portcullis-requests`, which are annotations.
    Need(Kind),
    Not(NodeId),
    OneOf(Vec<NodeId>),
    Pattern(Pattern<'s>),
    Properties(Properties<'s>),
    PropertyCount(Bound),
    PropertyNames(NodeId),
    Reference(NodeId),
    Required(Vec<&'s str>),
    Type(Types),
    UniqueItems,
}

/// `if`, `then` and `else`.
#[derive(Clone, Copy, Debug)]
struct Conditional {
    condition: NodeId,
    then: Option<NodeId>,
    otherwise: Option<NodeId>,
}

/// `enum`, or `const` as the list of one value.
#[derive(Debug)]
struct Listed<'s> {
    values: &'s [Value],
    /// The same values in the form of [`number::canonical`].
    canonical: HashSet<Value>,
    is_const: bool,
}

/// `properties`, `patternProperties` and `additionalProperties`.
#[derive(Debug)]
struct Properties<'s> {
    named: BTreeMap<&'s str, NodeId>,
    patterns: Vec<(Pattern<'s>, NodeId)>,
    rest: Rest,
}

/// The value of `additionalProperties`.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Anything,
    Nothing,
    Schema(NodeId),
}

impl<'s> Schema<'s> {
    /// Parses a schema.
    ///
    /// # Errors
    ///
    /// Returns an error if it isn't a schema, has an unsupported keyword, or refers to another document.
    pub(super) fn parse(document: &'s Value) -> Result<Self, SchemaError> {
        parse::parse(document).map(|nodes| Self { nodes })
    }

    /// All complaints about a value. They are empty if it matches.
    ///
    /// # Errors
    ///
    /// Returns an error if the check exceeds its budget, for example because the schema refers to itself without end.
    pub(super) fn check(&self, value: &Value) -> Result<Vec<Complaint<'s>>, Exhausted> {
        check::check(self, value)
    }

    /// What a value that matches needs of the rest of the configuration.
    ///
    /// # Errors
    ///
    /// Returns an error if the work exceeds its budget, as [`check`](Self::check) does.
    pub(super) fn needs(&self, value: &Value) -> Result<Vec<Need>, Exhausted> {
        needs::collect(self, value)
    }

    /// The node of this number. Every number has a node; if it had none, no value would match.
    fn node(&self, id: NodeId) -> &Node<'s> {
        self.nodes.get(id.0).unwrap_or(&Node::Always(false))
    }
}
