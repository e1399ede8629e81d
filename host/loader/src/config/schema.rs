//! The JSON Schema of a configuration, as its readers know it. Nobody writes it down: the readers run over a blank document, whose
//! tables have every key that is asked for, and each says what it expects there instead of reading a value.

use std::cell::RefCell;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// What readers have said of the values of a blank document.
#[derive(Default)]
pub(crate) struct Schema(RefCell<Vec<Node>>);

/// The place of one value in the schema: its index in the list of all. The first one is that of the whole document.
pub(super) type NodeId = usize;

#[derive(Default)]
struct Node {
    shape: Shape,
    default: Option<Value>,
}

#[derive(Default)]
enum Shape {
    /// Each of these is possible.
    AnyOf(Vec<NodeId>),
    /// A table with these keys. `entries` is for one whose keys are names.
    Keys { keys: Vec<Key>, entries: Option<NodeId> },
    /// This schema.
    Leaf(Value),
    /// A list of such items.
    List(NodeId),
    /// No reader has looked at it.
    #[default]
    Unread,
}

struct Key {
    name: &'static str,
    node: NodeId,
    is_required: bool,
}

impl Schema {
    /// The whole document.
    pub(super) fn root(&self) -> NodeId {
        let mut nodes = self.0.borrow_mut();
        if nodes.is_empty() {
            nodes.push(Node::default());
        }
        0
    }

    /// Says that a value must be of this schema.
    pub(super) fn leaf(&self, node: NodeId, schema: Value) {
        self.set(node, Shape::Leaf(schema));
    }

    /// Says that a value is a table.
    pub(super) fn table(&self, node: NodeId) {
        let keys = Vec::new();
        self.set(node, Shape::Keys { keys, entries: None });
    }

    /// Says that a table has this key. Returns its value.
    pub(super) fn key(&self, table: NodeId, name: &'static str) -> NodeId {
        let new = self.new_node();
        let mut nodes = self.0.borrow_mut();
        let Some(Shape::Keys { keys, .. }) = nodes.get_mut(table).map(|node| &mut node.shape) else {
            return new;
        };
        if let Some(known) = keys.iter().find(|key| key.name == name) {
            return known.node;
        }
        keys.push(Key {
            name,
            node: new,
            is_required: false,
        });
        new
    }

    /// Says that a table must have this key.
    pub(super) fn require(&self, table: NodeId, name: &str) {
        self.edit(table, |node| {
            if let Shape::Keys { keys, .. } = &mut node.shape {
                let key = keys.iter_mut().find(|key| key.name == name);
                key.into_iter().for_each(|key| key.is_required = true);
            }
        });
    }

    /// Says that the keys of a table are names. Returns the value of each.
    pub(super) fn entries(&self, table: NodeId) -> NodeId {
        let new = self.new_node();
        self.edit(table, |node| {
            if let Shape::Keys { entries, .. } = &mut node.shape {
                *entries = Some(new);
            }
        });
        new
    }

    /// Says that a value is a list. Returns its items.
    pub(super) fn list(&self, node: NodeId) -> NodeId {
        let items = self.new_node();
        self.set(node, Shape::List(items));
        items
    }

    /// Says that a value has one of two shapes. Returns both.
    pub(super) fn either(&self, node: NodeId) -> [NodeId; 2] {
        let both = [self.new_node(), self.new_node()];
        self.set(node, Shape::AnyOf(both.to_vec()));
        both
    }

    /// Says what holds without a value.
    pub(super) fn set_default(&self, node: NodeId, default: Value) {
        self.edit(node, |node| node.default = Some(default));
    }

    fn new_node(&self) -> NodeId {
        let mut nodes = self.0.borrow_mut();
        nodes.push(Node::default());
        nodes.len() - 1
    }

    fn set(&self, node: NodeId, shape: Shape) {
        self.edit(node, |node| node.shape = shape);
    }

    fn edit(&self, node: NodeId, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.0.borrow_mut().get_mut(node) {
            change(node);
        }
    }

    /// The whole as JSON Schema (draft 7, which editors know).
    pub(super) fn into_json(self) -> Value {
        let nodes = self.0.into_inner();
        json(&nodes, 0)
    }
}

/// The keywords are those of JSON Schema Validation, draft 7.
fn json(nodes: &[Node], node: NodeId) -> Value {
    let Some(Node { shape, default }) = nodes.get(node) else {
        return Value::Bool(false);
    };
    let mut schema = match shape {
        Shape::AnyOf(shapes) => json!({ "anyOf": all(nodes, shapes) }),
        Shape::Keys { keys, entries } => {
            let required = Vec::from_iter(keys.iter().filter(|key| key.is_required).map(|key| key.name));
            let properties = keys.iter().map(|key| (key.name.to_owned(), json(nodes, key.node)));
            let properties = Map::from_iter(properties);
            let others = entries.map_or(Value::Bool(false), |entries| json(nodes, entries));
            let mut schema = json!({ "type": "object", "additionalProperties": others });
            if let (Some(schema), false) = (schema.as_object_mut(), properties.is_empty()) {
                schema.insert("properties".to_owned(), properties.into());
            }
            if let (Some(schema), false) = (schema.as_object_mut(), required.is_empty()) {
                schema.insert("required".to_owned(), required.into());
            }
            schema
        }
        Shape::Leaf(schema) => schema.clone(),
        Shape::List(items) => json!({ "type": "array", "items": json(nodes, *items) }),
        // A test holds that there is none.
        Shape::Unread => json!({ "$comment": UNREAD }),
    };
    if let (Some(schema), Some(default)) = (schema.as_object_mut(), default) {
        schema.insert("default".to_owned(), default.clone());
    }
    schema
}

fn all(nodes: &[Node], shapes: &[NodeId]) -> Vec<Value> {
    shapes.iter().map(|node| json(nodes, *node)).collect()
}

/// What the schema says of a key that a reader takes and doesn't read.
const UNREAD: &str = "no reader looks at this value";
