//! Plugins from OCI registries: a component is pulled by tag or digest, verified, and kept in a store on disk. Nothing that a
//! registry says is believed: sizes, digests, redirects and media types are checked, and a pull has an end.
//!
//! The protocol is that of the [OCI distribution specification](https://github.com/opencontainers/distribution-spec), and the
//! form of a component that of the CNCF's
//! [wasm artifact](https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/).

mod auth;
mod component;
mod credentials;
mod descriptor;
mod dialer;
mod digest;
mod error;
mod exchange;
mod link;
mod manifest;
mod push;
mod reference;
mod referrers;
mod registries;
mod session;
mod store;
#[cfg(test)]
mod tests;

pub use component::Pulled;
pub use credentials::Credentials;
pub use dialer::Proxy;
pub use dialer::ProxyFor;
pub use digest::Digest;
pub use error::Error;
pub use push::ComponentInfo;
pub use push::Pushed;
pub use reference::Reference;
pub use reference::ReferenceError;
pub use reference::SCHEME;
pub use reference::Version;
pub use reference::is_host;
pub use registries::Host;
pub use registries::Mirror;
pub use registries::Options;
pub use registries::Registries;
pub use registries::TlsOfSystem;
pub use store::Store;

/// The maximum size of a component, in bytes.
pub const MAX_COMPONENT: u64 = 256 << 20;

/// The maximum size of a signature, in bytes.
pub const MAX_SIGNATURE: u64 = 4096;

/// The `artifactType` of a manifest whose one layer is the minisign signature of a component, and the media type of that
/// layer. The manifest's `subject` is the manifest of the component.
pub const SIGNATURE_TYPE: &str = "application/vnd.portcullis.minisign.v1";
