//! Loads plugins from a directory.

pub mod config;
pub mod files;
pub mod signature;
#[cfg(test)]
mod testing;
pub mod tls;
