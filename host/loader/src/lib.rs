//! Loads a directory of sandboxed plugins into authenticators and authorizers, and loads it again when its files change. The Portcullis
//! gateway loads its plugins with this crate, so a plugin with its `NAME.toml` works the same in any program that uses it.
//!
//! A plugin directory has a component `NAME.wasm` for each authenticator or authorizer, and optionally a `NAME.toml` beside it
//! with its settings, grants and limits. [`PluginDirectory::open`] compiles and configures all of them in one
//! [`Engine`](portcullis::Engine). [`Plugins::changed`] waits for a change, and then
//!
//! - compiles and configures the next plugins aside, and runs the self-tests that components carry; whatever is wrong
//!   leaves everything as it was, and the error says what is wrong, with file, line and key,
//! - keeps each plugin that is made of the same component, settings and files as before,
//! - swaps all others in at once, retires those that they replace, and says in words what differs.
//!
//! ```no_run
//! use portcullis::Chain;
//! use portcullis::Engine;
//! use portcullis::Gate;
//! use portcullis_loader::PluginDirectory;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().cache_directory("cache").build()?;
//! let mut plugins = PluginDirectory::new("plugins", &engine).open().await?;
//! let current = plugins.current();
//! tokio::spawn(async move {
//!     loop {
//!         match plugins.changed().await {
//!             Ok(changes) => changes.iter().for_each(|change| println!("{change}")),
//!             Err(errors) => eprintln!("the plugins stay as they were: {errors}"),
//!         }
//!     }
//! });
//!
//! // For each request:
//! let set = current.load();
//! let keys = set.authenticator("keys").ok_or("there is no plugins/keys.wasm")?;
//! let gate = Gate::new(Chain::new([keys.clone()]), None);
//! # let _ = gate;
//! # Ok(())
//! # }
//! ```
//!
//! Programs with a configuration of their own, as the gateway is, read it with [`config`], get the bytes of components from
//! wherever they like, and use [`component::compile`] and [`PluginSet::load`] by themselves.

mod asked;
mod build;
pub mod cases;
pub mod component;
pub mod config;
mod current;
pub mod difference;
pub mod files;
pub mod lock;
mod plugins;
pub mod remote;
mod self_test;
pub mod set;
pub mod signature;
#[cfg(test)]
mod testing;
pub mod tls;
mod warning;

pub use asked::AskedPlugin;
pub use build::Negotiators;
pub use build::build_alone;
pub use config::document::Environment;
pub use config::error::ConfigErrors;
pub use current::CurrentPlugins;
pub use difference::Change;
pub use plugins::PluginDirectory;
pub use plugins::Plugins;
pub use self_test::run as run_self_test;
pub use set::LoadedPlugin;
pub use set::PluginSet;
pub use warning::PluginWarning;
