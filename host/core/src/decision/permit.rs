//! The permission of authorizers to make a request, with the facts that they tell the application.

use std::sync::Arc;
use std::time::Duration;

use super::Refusal;
use super::Step;

/// The outcome of the authorizers for one request, and one step for each that was asked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Authorization {
    /// The permits, one of each authorizer. Or how the request is refused.
    pub outcome: Result<Permits, Refusal>,
    /// One step for each authorizer that was asked, in order.
    pub steps: Vec<Step>,
}

impl Authorization {
    pub(crate) const fn refused(refusal: Refusal, steps: Vec<Step>) -> Self {
        Self {
            outcome: Err(refusal),
            steps,
        }
    }
}

/// The permits of all authorizers that were asked, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permits(Vec<Permit>);

impl Permits {
    pub(crate) const fn new(permits: Vec<Permit>) -> Self {
        Self(permits)
    }

    /// The permits, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Permit> {
        self.0.iter()
    }

    /// The value of the first attribute of this name that this authorizer has set. `None` if there is no such attribute.
    pub fn attribute(&self, authorizer: &str, name: &str) -> Option<&str> {
        let mut own = self.0.iter().filter(|permit| permit.authorizer() == authorizer);
        own.find_map(|permit| permit.attribute(name))
    }
}

/// The permission of one authorizer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Permit {
    pub(crate) authorizer: Arc<str>,
    pub(crate) attributes: Arc<[(String, String)]>,
    pub(crate) valid_for: Option<Duration>,
}

impl Permit {
    /// The name of the authorizer.
    pub fn authorizer(&self) -> &str {
        &self.authorizer
    }

    /// The attributes: at most 16 pairs of name and value, such as the user's role.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of the first attribute of this name. `None` if there is no such attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// How long this permission may be reused for other requests of the same user, counted from the decision. `None` if it may
    /// not be reused.
    pub fn valid_for(&self) -> Option<Duration> {
        self.valid_for
    }

    /// The approximate size of its texts, in bytes.
    pub(crate) fn size(&self) -> usize {
        let texts = self.attributes();
        texts
            .map(|(name, value)| 2 * size_of::<String>() + name.len() + value.len())
            .sum()
    }
}
