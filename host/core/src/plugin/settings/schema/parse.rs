//! Parses a schema. Every keyword must be supported: with an ignored keyword, settings that the plugin means to forbid
//! would be accepted.

use std::collections::BTreeMap;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::Map;
use serde_json::Value;

use super::Conditional;
use super::Keyword;
use super::Listed;
use super::Node;
use super::NodeId;
use super::Properties;
use super::Rest;
use super::SchemaError;
use super::bounds::Bound;
use super::bounds::Limit;
use super::budget::Budget;
use super::needs::Kind;
use super::number;
use super::pattern::Pattern;
use super::types::Types;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Parses a document with its subschemas. The first node is the root.
pub(super) fn parse(document: &Value) -> Result<Vec<Node<'_>>, SchemaError> {
    let mut parser = Parser {
        document,
        ids: HashMap::new(),
        found: Vec::new(),
        patterns: Budget::new(),
    };
    parser.id(document);
    // A list instead of recursion, because references may be circular.
    let mut nodes = Vec::new();
    while let Some(schema) = parser.found.get(nodes.len()).copied() {
        let node = parser.node(schema);
        nodes.push(node.map_err(|SchemaError(why)| SchemaError(format!("at {}: {why}", place(document, schema))))?);
    }
    Ok(nodes)
}

/// Where a part of the document stands, as a JSON Pointer (RFC 6901) behind `#`.
fn place(document: &Value, part: &Value) -> String {
    let mut pointer = pointer(document, part).unwrap_or_default();
    let end = pointer.floor_char_boundary(MAX_PLACE);
    pointer.truncate(end);
    format!("#{pointer}")
}

/// `None` if the part isn't in this value.
fn pointer(value: &Value, part: &Value) -> Option<String> {
    if std::ptr::eq(value, part) {
        return Some(String::new());
    }
    // A parsed document is at most 128 levels deep.
    match value {
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            Some(format!("/{name}{}", pointer(member, part)?))
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| Some(format!("/{index}{}", pointer(item, part)?))),
        _ => None,
    }
}

/// The longest place in an error, in bytes.
const MAX_PLACE: usize = 200;

struct Parser<'s> {
    document: &'s Value,
    /// The numbers of the schemas that were found, by their address in the document.
    ids: HashMap<*const Value, NodeId>,
    found: Vec<&'s Value>,
    /// The budget for compiling patterns.
    patterns: Budget,
}

impl<'s> Parser<'s> {
    fn id(&mut self, schema: &'s Value) -> NodeId {
        *self.ids.entry(std::ptr::from_ref(schema)).or_insert_with(|| {
            self.found.push(schema);
            NodeId(self.found.len() - 1)
        })
    }

    fn node(&mut self, schema: &'s Value) -> Result<Node<'s>, SchemaError> {
        match schema {
            Value::Bool(always) => Ok(Node::Always(*always)),
            Value::Object(members) => {
                let is_root = std::ptr::eq(schema, self.document);
                let mut keywords = Vec::new();
                for (keyword, value) in members {
                    keywords.extend(self.keyword(keyword, value, members, is_root)?);
                }
                Ok(Node::Keywords(keywords))
            }
            _ => Err(SchemaError(
                "a schema is neither an object nor true or false".to_owned(),
            )),
        }
    }

    /// Parses a keyword. Returns `None` for an annotation, or if it is parsed together with another keyword.
    fn keyword(
        &mut self,
        keyword: &str,
        value: &'s Value,
        beside: &'s Map<String, Value>,
        is_root: bool,
    ) -> Result<Option<Keyword<'s>>, SchemaError> {
        let malformed = || SchemaError(format!("the value of {keyword:?} is malformed"));
        let demand = match keyword {
            "$comment" | "contentEncoding" | "contentMediaType" | "contentSchema" | "deprecated" | "description"
            | "examples" | "format" | "readOnly" | "title" | "writeOnly" => return Ok(None),
            "default" => Keyword::Default(value),
            "x-portcullis-grant" | "x-portcullis-requests" => {
                Keyword::Need(Kind::parse(keyword, value).ok_or_else(malformed)?)
            }
            // The convention for extensions.
            _ if keyword.starts_with("x-") => return Ok(None),
            "$id" if is_root => return Ok(None),
            "$schema" if is_root && value == DRAFT => return Ok(None),
            "$schema" => return Err(SchemaError(format!("\"$schema\" isn't {DRAFT:?}"))),
            "$defs" | "definitions" => {
                // Unused definitions must be schemas too.
                self.map(value).ok_or_else(malformed)?;
                return Ok(None);
            }
            "$ref" => Keyword::Reference(self.reference(value)?),
            "additionalProperties" | "patternProperties" if beside.contains_key("properties") => return Ok(None),
            "additionalProperties" if beside.contains_key("patternProperties") => return Ok(None),
            "additionalProperties" | "patternProperties" | "properties" => self.properties(beside)?,
            "allOf" => Keyword::AllOf(self.list(value).ok_or_else(malformed)?),
            "anyOf" => Keyword::AnyOf(self.list(value).ok_or_else(malformed)?),
            "oneOf" => Keyword::OneOf(self.list(value).ok_or_else(malformed)?),
            "const" => listed(std::slice::from_ref(value), true),
            "enum" => listed(value.as_array().ok_or_else(malformed)?, false),
            "dependentRequired" => Keyword::DependentRequired(dependent(value).ok_or_else(malformed)?),
            "else" | "then" => {
                self.id(value);
                return Ok(None);
            }
            "exclusiveMaximum" | "exclusiveMinimum" | "maximum" | "minimum" => {
                let limit = value.as_number().and_then(|limit| Limit::named(keyword, limit));
                Keyword::Limit(limit.ok_or_else(malformed)?)
            }
            "if" => Keyword::Conditional(Conditional {
                condition: self.id(value),
                then: beside.get("then").map(|then| self.id(then)),
                otherwise: beside.get("else").map(|otherwise| self.id(otherwise)),
            }),
            "items" if beside.contains_key("prefixItems") => return Ok(None),
            "items" => Keyword::Items {
                first: Vec::new(),
                rest: Some(self.id(value)),
            },
            "prefixItems" => Keyword::Items {
                first: self.list(value).ok_or_else(malformed)?,
                rest: beside.get("items").map(|rest| self.id(rest)),
            },
            "maxItems" => Keyword::ItemCount(at_most(value).ok_or_else(malformed)?),
            "maxLength" => Keyword::Length(at_most(value).ok_or_else(malformed)?),
            "maxProperties" => Keyword::PropertyCount(at_most(value).ok_or_else(malformed)?),
            "minItems" => Keyword::ItemCount(at_least(value).ok_or_else(malformed)?),
            "minLength" => Keyword::Length(at_least(value).ok_or_else(malformed)?),
            "minProperties" => Keyword::PropertyCount(at_least(value).ok_or_else(malformed)?),
            "multipleOf" => Keyword::MultipleOf(divisor(value)?),
            "not" => Keyword::Not(self.id(value)),
            "pattern" => Keyword::Pattern(self.pattern(value.as_str().ok_or_else(malformed)?)?),
            "propertyNames" => Keyword::PropertyNames(self.id(value)),
            "required" => Keyword::Required(names(value).ok_or_else(malformed)?),
            "type" => Keyword::Type(Types::parse(value).ok_or_else(malformed)?),
            "uniqueItems" => match value.as_bool().ok_or_else(malformed)? {
                true => Keyword::UniqueItems,
                false => return Ok(None),
            },
            _ => return Err(SchemaError(format!("the keyword {keyword:?} isn't supported here"))),
        };
        Ok(Some(demand))
    }

    fn properties(&mut self, beside: &'s Map<String, Value>) -> Result<Keyword<'s>, SchemaError> {
        let malformed = || SchemaError("the properties are malformed".to_owned());
        let named = match beside.get("properties") {
            Some(named) => self.map(named).ok_or_else(malformed)?,
            None => BTreeMap::new(),
        };
        let by_pattern = match beside.get("patternProperties") {
            Some(patterns) => self.map(patterns).ok_or_else(malformed)?,
            None => BTreeMap::new(),
        };
        let mut patterns = Vec::with_capacity(by_pattern.len());
        for (pattern, id) in by_pattern {
            patterns.push((self.pattern(pattern)?, id));
        }
        let rest = match beside.get("additionalProperties") {
            None => Rest::Anything,
            Some(Value::Bool(false)) => Rest::Nothing,
            Some(schema) => Rest::Schema(self.id(schema)),
        };
        Ok(Keyword::Properties(Properties { named, patterns, rest }))
    }

    fn map(&mut self, value: &'s Value) -> Option<BTreeMap<&'s str, NodeId>> {
        let members = value.as_object()?.iter();
        Some(members.map(|(name, schema)| (name.as_str(), self.id(schema))).collect())
    }

    fn list(&mut self, value: &'s Value) -> Option<Vec<NodeId>> {
        let schemas = value.as_array().filter(|schemas| !schemas.is_empty())?;
        Some(schemas.iter().map(|schema| self.id(schema)).collect())
    }

    /// Resolves a reference. It must be a JSON Pointer (RFC 6901) into the same document, so that nothing is ever
    /// fetched.
    fn reference(&mut self, value: &'s Value) -> Result<NodeId, SchemaError> {
        let pointer = value.as_str().and_then(|reference| reference.strip_prefix('#'));
        let pointer = pointer.and_then(|pointer| percent_decode_str(pointer).decode_utf8().ok());
        let document = self.document;
        let target = pointer.and_then(|pointer| document.pointer(&pointer));
        let target = target.ok_or_else(|| SchemaError("\"$ref\" leads to no place in the schema".to_owned()))?;
        Ok(self.id(target))
    }

    fn pattern(&mut self, text: &'s str) -> Result<Pattern<'s>, SchemaError> {
        Pattern::compile(text, &mut self.patterns)
            .map_err(|_| SchemaError("its patterns are too large".to_owned()))?
            .ok_or_else(|| SchemaError("the pattern isn't a regular expression of those that are supported".to_owned()))
    }
}

fn listed(values: &[Value], is_const: bool) -> Keyword<'_> {
    Keyword::Listed(Listed {
        values,
        canonical: values.iter().map(number::canonical).collect(),
        is_const,
    })
}

fn names(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

fn dependent(value: &Value) -> Option<BTreeMap<&str, Vec<&str>>> {
    let members = value.as_object()?.iter();
    members
        .map(|(name, needed)| Some((name.as_str(), names(needed)?)))
        .collect()
}

fn at_least(value: &Value) -> Option<Bound> {
    number::count(value).map(Bound::AtLeast)
}

fn at_most(value: &Value) -> Option<Bound> {
    number::count(value).map(Bound::AtMost)
}

/// Fractions are not supported, because a float represents few of them exactly.
fn divisor(value: &Value) -> Result<u64, SchemaError> {
    number::count(value)
        .filter(|divisor| (1..=number::MAX_DIVISOR).contains(divisor))
        .ok_or_else(|| SchemaError("\"multipleOf\" isn't a whole number above 0".to_owned()))
}
