//! The text of a configuration: TOML is read key by key into the types that the rest of the program uses, and all mistakes
//! are reported together, each with its file, line and key.

pub mod digests;
pub mod directory;
pub mod document;
pub mod error;
mod grants;
mod instances;
mod limits;
mod outbound;
mod pattern;
pub mod pem;
pub mod plugin;
mod program;
pub mod proxy;
pub mod reader;
mod registries;
pub mod rotation;
pub mod secret;
pub(crate) mod settings;
pub mod sources;
pub mod trust;
pub mod values;

pub use program::registries_of_json;
pub use program::trust_of_json;
pub use registries::Pulling;
pub use registries::RegistriesConfig;
pub use registries::store_below;
pub use settings::Settings;
