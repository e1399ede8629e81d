//! The text of a configuration: TOML is read key by key into the types that the rest of the program uses, and all mistakes
//! are reported together, each with its file, line and key.

mod defaults;
pub mod digests;
pub mod directory;
pub mod document;
pub mod error;
mod grants;
mod include;
mod instances;
mod json;
mod limits;
pub mod located;
mod merge;
mod outbound;
mod overrides;
mod parse;
mod pattern;
pub mod pem;
pub mod plugin;
mod program;
pub mod proxy;
pub mod reader;
mod registries;
pub mod rotation;
mod schema;
pub mod secret;
pub(crate) mod settings;
pub mod sources;
mod table;
pub mod trust;
pub mod values;
pub mod whole;

pub use program::registries_of_json;
pub use program::trust_of_json;
pub use registries::Pulling;
pub use registries::RegistriesConfig;
pub use registries::store_below;
pub use settings::Settings;
