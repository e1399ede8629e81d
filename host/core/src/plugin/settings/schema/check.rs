//! Checks a value against a schema. Every step is paid for from a budget, because a hostile schema may demand any
//! number of steps.

use std::collections::HashSet;

use serde_json::Map;
use serde_json::Value;

use super::Conditional;
use super::Keyword;
use super::Node;
use super::NodeId;
use super::Properties;
use super::Rest;
use super::Schema;
use super::budget::Budget;
use super::budget::Exhausted;
use super::complaint::Complaint;
use super::complaint::Fault;
use super::complaint::none_fits;
use super::number;

/// All complaints about a value.
pub(super) fn check<'s>(schema: &Schema<'s>, value: &Value) -> Complaints<'s> {
    Checker::new(schema).check(NodeId(0), value)
}

type Complaints<'s> = Result<Vec<Complaint<'s>>, Exhausted>;

/// The steps of a complaint, which is copied and compared with others.
const STEPS_A_COMPLAINT: usize = 16;

pub(super) struct Checker<'a, 's> {
    pub(super) schema: &'a Schema<'s>,
    /// The keys and indices that lead to the current value.
    pub(super) path: Vec<String>,
    pub(super) budget: Budget,
}

impl<'a, 's> Checker<'a, 's> {
    pub(super) fn new(schema: &'a Schema<'s>) -> Self {
        Self {
            schema,
            path: Vec::new(),
            budget: Budget::new(),
        }
    }

    fn check(&mut self, id: NodeId, value: &Value) -> Complaints<'s> {
        let schema = self.schema;
        self.budget.descend()?;
        let complaints = match schema.node(id) {
            Node::Always(true) => Vec::new(),
            Node::Always(false) => self.complain(Fault::Other("the value is not allowed".to_owned()))?,
            Node::Keywords(keywords) => {
                let mut complaints = Vec::new();
                for keyword in keywords {
                    self.budget.pay(1)?;
                    complaints.extend(self.meet(keyword, value)?);
                }
                complaints
            }
        };
        self.budget.ascend();
        Ok(complaints)
    }

    /// Checks a part of the value.
    fn check_at(&mut self, key: String, id: NodeId, value: &Value) -> Complaints<'s> {
        self.budget.pay_for_text(&key)?;
        self.path.push(key);
        let complaints = self.check(id, value);
        self.path.pop();
        complaints
    }

    pub(super) fn fits(&mut self, id: NodeId, value: &Value) -> Result<bool, Exhausted> {
        Ok(self.check(id, value)?.is_empty())
    }

    fn complain(&mut self, fault: Fault<'s>) -> Complaints<'s> {
        self.budget.pay(STEPS_A_COMPLAINT)?;
        for key in &self.path {
            self.budget.pay_for_text(key)?;
        }
        let path = self.path.clone();
        Ok(vec![Complaint { path, fault }])
    }

    fn complain_unless(&mut self, is_met: bool, fault: impl FnOnce() -> Fault<'s>) -> Complaints<'s> {
        if is_met { Ok(Vec::new()) } else { self.complain(fault()) }
    }

    /// The complaints of one keyword. A keyword accepts all values of types to which it doesn't apply.
    fn meet(&mut self, keyword: &Keyword<'s>, value: &Value) -> Complaints<'s> {
        match (keyword, value) {
            (Keyword::Type(types), _) => self.complain_unless(types.have(value), || Fault::Type(types.clone())),
            (Keyword::Listed(listed), _) => {
                let value = self.canonical(value)?;
                self.complain_unless(listed.canonical.contains(&value), || Fault::Listed {
                    values: listed.values,
                    is_const: listed.is_const,
                })
            }
            (Keyword::Reference(id), _) => self.check(*id, value),
            (Keyword::AllOf(forms), _) => {
                let mut complaints = Vec::new();
                for form in forms {
                    complaints.extend(self.check(*form, value)?);
                }
                Ok(complaints)
            }
            (Keyword::AnyOf(forms), _) => Ok(self.count_fitting(forms, value)?.err().unwrap_or_default()),
            (Keyword::OneOf(forms), _) => match self.count_fitting(forms, value)? {
                Ok(fitting) => self.complain_unless(fitting == 1, || {
                    Fault::Other("the value fits several of the forms of which it must have one".to_owned())
                }),
                Err(complaints) => Ok(complaints),
            },
            (Keyword::Not(id), _) => {
                let is_met = !self.fits(*id, value)?;
                self.complain_unless(is_met, || Fault::Other("the value is not allowed".to_owned()))
            }
            (Keyword::Conditional(conditional), _) => {
                let next = self.branch(*conditional, value)?;
                next.map_or_else(|| Ok(Vec::new()), |next| self.check(next, value))
            }
            (Keyword::Limit(limit), Value::Number(number)) => {
                self.complain_unless(limit.allows(number), || limit.fault())
            }
            (Keyword::MultipleOf(divisor), Value::Number(number)) => self
                .complain_unless(number::is_multiple(number, *divisor), || {
                    Fault::Other(format!("the value is not a multiple of {divisor}"))
                }),
            (Keyword::Length(bound), Value::String(text)) => {
                self.budget.pay_for_text(text)?;
                self.complain_unless(bound.allows(text.chars().count()), || {
                    bound.fault("character", "characters")
                })
            }
            (Keyword::Pattern(pattern), Value::String(text)) => {
                let matches = pattern.matches(text, &mut self.budget)?;
                self.complain_unless(matches, || Fault::Mismatch(pattern.as_str()))
            }
            (Keyword::ItemCount(bound), Value::Array(items)) => {
                self.complain_unless(bound.allows(items.len()), || bound.fault("item", "items"))
            }
            (Keyword::Items { first, rest }, Value::Array(items)) => self.items(first, *rest, items),
            (Keyword::UniqueItems, Value::Array(items)) => {
                let mut seen = HashSet::with_capacity(items.len());
                let mut is_met = true;
                for item in items {
                    is_met &= seen.insert(self.canonical(item)?);
                }
                self.complain_unless(is_met, || Fault::Other("it has an item twice".to_owned()))
            }
            (Keyword::PropertyCount(bound), Value::Object(members)) => {
                self.complain_unless(bound.allows(members.len()), || bound.fault("key", "keys"))
            }
            (Keyword::Required(names), Value::Object(members)) => self.required(names, members),
            (Keyword::DependentRequired(needed), Value::Object(members)) => {
                let mut complaints = Vec::new();
                for (name, names) in needed {
                    self.budget.pay_for_text(name)?;
                    if members.contains_key(*name) {
                        complaints.extend(self.required(names, members)?);
                    }
                }
                Ok(complaints)
            }
            (Keyword::Properties(properties), Value::Object(members)) => self.properties(properties, members),
            (Keyword::PropertyNames(id), Value::Object(members)) => {
                let mut complaints = Vec::new();
                for name in members.keys() {
                    complaints.extend(self.check_at(name.clone(), *id, &Value::from(name.as_str()))?);
                }
                Ok(complaints)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The branch of `if` that applies to a value. `None` if it has no schema.
    pub(super) fn branch(&mut self, conditional: Conditional, value: &Value) -> Result<Option<NodeId>, Exhausted> {
        let is_met = self.fits(conditional.condition, value)?;
        Ok(if is_met {
            conditional.then
        } else {
            conditional.otherwise
        })
    }

    /// The schemas that apply to the property of this name. They are empty for an unknown one.
    pub(super) fn of_property(&mut self, name: &str, properties: &Properties<'s>) -> Result<Vec<NodeId>, Exhausted> {
        self.budget.pay_for_text(name)?;
        let mut schemas = Vec::from_iter(properties.named.get(name).copied());
        for (pattern, id) in &properties.patterns {
            if pattern.matches(name, &mut self.budget)? {
                schemas.push(*id);
            }
        }
        match properties.rest {
            Rest::Schema(id) if schemas.is_empty() => Ok(vec![id]),
            _ => Ok(schemas),
        }
    }

    /// How many of the forms a value matches. If it matches none, adds the complaints about it.
    fn count_fitting(
        &mut self,
        forms: &[NodeId],
        value: &Value,
    ) -> Result<Result<usize, Vec<Complaint<'s>>>, Exhausted> {
        let mut misfits = Vec::with_capacity(forms.len());
        for form in forms {
            let complaints = self.check(*form, value)?;
            if !complaints.is_empty() {
                misfits.push(complaints);
            }
        }
        match forms.len() - misfits.len() {
            0 => none_fits(&self.path, misfits, &mut self.budget).map(Err),
            fitting => Ok(Ok(fitting)),
        }
    }

    fn items(&mut self, first: &[NodeId], rest: Option<NodeId>, items: &[Value]) -> Complaints<'s> {
        let mut complaints = Vec::new();
        for (index, id, item) in of_items(first, rest, items) {
            complaints.extend(self.check_at(index.to_string(), id, item)?);
        }
        Ok(complaints)
    }

    fn required(&mut self, names: &[&'s str], members: &Map<String, Value>) -> Complaints<'s> {
        let mut complaints = Vec::new();
        for name in names {
            self.budget.pay_for_text(name)?;
            complaints.extend(self.complain_unless(members.contains_key(*name), || Fault::Missing(name))?);
        }
        Ok(complaints)
    }

    fn properties(&mut self, properties: &Properties<'s>, members: &Map<String, Value>) -> Complaints<'s> {
        let mut complaints = Vec::new();
        let mut unknown = Vec::new();
        for (name, member) in members {
            let schemas = self.of_property(name, properties)?;
            if schemas.is_empty() && matches!(properties.rest, Rest::Nothing) {
                unknown.push(name.clone());
            }
            for id in schemas {
                complaints.extend(self.check_at(name.clone(), id, member)?);
            }
        }
        if !unknown.is_empty() {
            complaints.extend(self.unknown(unknown, properties)?);
        }
        Ok(complaints)
    }

    fn unknown(&mut self, names: Vec<String>, properties: &Properties<'s>) -> Complaints<'s> {
        // Every unknown name is reported together with all known ones.
        for _ in &names {
            for name in properties.named.keys() {
                self.budget.pay_for_text(name)?;
            }
        }
        let known = properties.named.keys().copied().collect();
        self.complain(Fault::Unknown { names, known })
    }

    fn canonical(&mut self, value: &Value) -> Result<Value, Exhausted> {
        self.pay_for(value)?;
        Ok(number::canonical(value))
    }

    pub(super) fn pay_for(&mut self, value: &Value) -> Result<(), Exhausted> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.pay_for(item))?,
            Value::Object(members) => {
                for (name, member) in members {
                    self.budget.pay_for_text(name)?;
                    self.pay_for(member)?;
                }
            }
            Value::String(text) => self.budget.pay_for_text(text)?,
            Value::Bool(_) | Value::Null | Value::Number(_) => {}
        }
        self.budget.pay(1)
    }
}

/// The items that have a schema, with their indices and schemas.
pub(super) fn of_items<'v>(
    first: &[NodeId],
    rest: Option<NodeId>,
    items: &'v [Value],
) -> impl Iterator<Item = (usize, NodeId, &'v Value)> {
    let mut first = first.iter().copied();
    let schemas = std::iter::from_fn(move || Some(first.next().or(rest)));
    let with_schema = items.iter().zip(schemas).enumerate();
    with_schema.filter_map(|(index, (item, id))| Some((index, id?, item)))
}
