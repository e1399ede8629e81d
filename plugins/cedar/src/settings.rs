//! The settings that the operator writes.

use std::collections::BTreeMap;

use portcullis_sdk::settings;
use schemars::JsonSchema;
use serde::Deserialize;

settings! {
    /// The settings of the authorizer `cedar`.
    #[non_exhaustive]
    pub struct Settings {
        /// Policies in Cedar: a text, or a list of texts. They are usually in files: `["file:policies.cedar"]`.
        pub policies: Texts,
        /// Who is in which group, beside what the authenticators say: a list of entities in Cedar's JSON format.
        pub entities: Option<String>,
        /// The attributes of users that policies may read, and their types: `String`, or `Set<String>` for one with several values.
        #[serde(default)]
        pub attributes: BTreeMap<String, AttributeType>,
        /// Regular expressions that are searched for in the path. What their named groups capture, as in
        /// `^/clusters/(?<team>[a-z]+)`, become attributes of the resource.
        #[serde(default)]
        pub captures: Vec<String>,
        /// Ask the policies about requests without a user too, on routes that accept such. The principal is then an `Anonymous`.
        #[serde(default)]
        pub anonymous: bool,
        /// Tell a client the `@message` of the policy that forbids its request.
        #[serde(default)]
        pub messages: bool,
        /// Answer what isn't permitted with 404 instead of 403, as if it weren't there.
        #[serde(default)]
        pub hidden: bool,
    }
}

/// One text or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[non_exhaustive]
pub enum Texts {
    /// One text.
    One(String),
    /// Several texts.
    Several(Vec<String>),
}

impl Texts {
    /// The texts, each with the setting that it is.
    pub(crate) fn named(&self, setting: &str) -> Vec<(String, &str)> {
        match self {
            Self::One(text) => vec![(setting.to_owned(), text)],
            Self::Several(texts) => {
                let texts = texts.iter().enumerate();
                texts
                    .map(|(index, text)| (format!("{setting}[{index}]"), text.as_str()))
                    .collect()
            }
        }
    }
}

/// The type of an attribute, in the words of Cedar.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[schemars(inline)]
#[non_exhaustive]
pub enum AttributeType {
    /// One value.
    #[serde(rename = "String")]
    Text,
    /// Any number of values.
    #[serde(rename = "Set<String>")]
    Texts,
}
