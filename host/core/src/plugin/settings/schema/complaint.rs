//! The complaints about a value. If a value may have one of several forms, this decides which form was meant.

use serde_json::Value;

use super::budget::Budget;
use super::budget::Exhausted;
use super::types::Type;
use super::types::Types;

/// One fault with its place.
#[derive(Clone, Debug)]
pub(crate) struct Complaint<'s> {
    /// The keys and indices that lead to the value.
    pub(crate) path: Vec<String>,
    pub(crate) fault: Fault<'s>,
}

/// The fault of a value.
#[derive(Clone, Debug)]
pub(crate) enum Fault<'s> {
    /// Its type is wrong.
    Type(Types),
    /// It isn't one of the values that the schema lists.
    Listed { values: &'s [Value], is_const: bool },
    /// It matches none of the possible forms and isn't close to one.
    Forms(Vec<Expected<'s>>),
    /// The object has unknown properties.
    Unknown { names: Vec<String>, known: Vec<&'s str> },
    /// The object lacks a property.
    Missing(&'s str),
    /// The text doesn't match this regular expression.
    Mismatch(&'s str),
    /// A list or a text must not be empty.
    Empty,
    /// Any other fault, in words.
    Other(String),
}

/// A type or value that is possible in a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected<'s> {
    Type(Type),
    Value(&'s Value),
}

impl<'s> Fault<'s> {
    /// The types and values that are possible instead, if the fault is about those.
    pub(crate) fn expected(&self) -> Box<dyn Iterator<Item = Expected<'s>> + '_> {
        match self {
            Self::Type(types) => Box::new(types.iter().map(Expected::Type)),
            Self::Listed { values, .. } => Box::new(values.iter().map(Expected::Value)),
            Self::Forms(expected) => Box::new(expected.iter().copied()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Whether a value of another kind is needed, rather than a change of this value.
    fn is_about_kind(&self) -> bool {
        matches!(self, Self::Type(_) | Self::Listed { .. } | Self::Forms(_))
    }
}

/// The complaints about a value that matches none of its possible forms: those of the form to which it is close, if
/// any.
pub(super) fn none_fits<'s>(
    path: &[String],
    mut forms: Vec<Vec<Complaint<'s>>>,
    budget: &mut Budget,
) -> Result<Vec<Complaint<'s>>, Exhausted> {
    for form in &forms {
        budget.pay(form.len().saturating_mul(1 + path.len()))?;
    }
    if let Some(index) = nearest(path, &forms) {
        return Ok(forms.swap_remove(index));
    }
    let mut expected = Vec::new();
    for form in &forms {
        let by_form = expected_by(path, form);
        budget.pay(by_form.len())?;
        expected.extend(by_form);
    }
    Ok(vec![Complaint {
        path: path.to_vec(),
        fault: Fault::Forms(expected),
    }])
}

/// The form that was meant, among those of the value's kind: the one whose tag the value has, or else the one with the
/// fewest complaints.
fn nearest(path: &[String], forms: &[Vec<Complaint<'_>>]) -> Option<usize> {
    let is_of_its_kind = |form: &[Complaint<'_>]| {
        !form
            .iter()
            .any(|complaint| complaint.path == path && complaint.fault.is_about_kind())
    };
    let misses_tag = |complaint: &Complaint<'_>| matches!(complaint.fault, Fault::Listed { is_const: true, .. });
    forms
        .iter()
        .enumerate()
        .filter(|(_, form)| is_of_its_kind(form))
        .min_by_key(|(_, form)| (form.iter().any(misses_tag), form.len()))
        .map(|(index, _)| index)
}

/// The values that a form lists for this place, or else its types.
fn expected_by<'s>(path: &[String], form: &[Complaint<'s>]) -> Vec<Expected<'s>> {
    let (types, others): (Vec<_>, Vec<_>) = form
        .iter()
        .filter(|complaint| complaint.path == path)
        .partition(|complaint| matches!(complaint.fault, Fault::Type(_)));
    let of = |complaints: &[&Complaint<'s>]| -> Vec<_> {
        complaints
            .iter()
            .flat_map(|complaint| complaint.fault.expected())
            .collect()
    };
    match of(&others) {
        values if values.is_empty() => of(&types),
        values => values,
    }
}
