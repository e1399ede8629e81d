//! Settings: what the operator writes under `[authenticators.NAME.settings]`, as types that can be wrong in few ways.

mod http_url;
mod span;

pub use http_url::HttpUrl;
pub use span::Span;

/// Defines settings: a struct that can be read from the configuration, whose JSON Schema is known, and in which an
/// unknown name is an error. Fields without a default are `Option`s or have `#[serde(default)]`.
///
/// It saves a crate from depending on `serde` and `schemars` itself. The derives may as well be written out.
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
