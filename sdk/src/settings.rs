//! Types for the settings that the operator writes under `[authenticators.NAME.settings]`. They validate their values
//! when they are read.

mod http_url;
mod span;

pub use http_url::HttpUrl;
pub use span::Span;

/// Defines settings: structs that can be read from the configuration, have a JSON Schema and reject unknown names.
/// Optional fields are `Option`s or have `#[serde(default)]`.
///
/// The macro saves a crate from depending on `serde` and `schemars` itself. You can also write the derives yourself.
#[macro_export]
macro_rules! settings {
    ($($item:item)+) => {
        $(
            #[derive(Clone, Debug, $crate::serde::Deserialize, $crate::schemars::JsonSchema)]
            #[serde(crate = "portcullis_sdk::serde", deny_unknown_fields)]
            #[schemars(crate = "portcullis_sdk::schemars")]
            $item
        )+
    };
}
