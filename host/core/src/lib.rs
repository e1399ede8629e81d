//! Authenticates HTTP requests with sandboxed WebAssembly components.
//!
//! An [`Engine`] compiles a [`Component`]. With settings and grants it becomes an [`Authenticator`], which is called as
//! part of a [`Chain`]. A [`Gate`] adds sessions, and [`AuthenticateLayer`] puts a gate in front of any `tower`
//! service. The crate opens no port, and reads no files except its own cache of compiled components.

mod authenticator;
mod chain;
mod component;
mod contract;
pub mod decision;
mod egress;
mod engine;
mod gate;
mod grants;
mod layer;
mod lazy_cache;
mod lifetime;
mod limits;
mod negotiate;
mod plugin;
mod plugin_log;
mod question;
mod request;
mod reuse;
mod sandbox;
pub mod session;

pub use authenticator::Authenticator;
pub use authenticator::AuthenticatorBuilder;
pub use chain::Chain;
pub use component::CONTRACT;
pub use component::Component;
pub use component::Digest;
pub use component::DigestError;
pub use component::LoadError;
pub use decision::Authenticated;
pub use decision::Decision;
pub use decision::Outcome;
pub use decision::Refusal;
pub use egress::Outbound;
pub use egress::OutboundError;
pub use egress::OutboundProxy;
pub use egress::OutboundProxyError;
pub use egress::SecretHeader;
pub use engine::Engine;
pub use engine::EngineBuilder;
pub use engine::EngineError;
pub use engine::UnusableCache;
pub use gate::Admission;
pub use gate::Gate;
pub use gate::ResponseHeaders;
pub use grants::Grants;
pub use grants::HttpGrant;
pub use grants::HttpGrantError;
pub use layer::Authenticate;
pub use layer::AuthenticateLayer;
pub use layer::GateBody;
pub use limits::Limits;
pub use limits::Rate;
pub use limits::RateError;
pub use negotiate::MAX_NEGOTIATE_TOKEN;
pub use negotiate::NegotiateError;
pub use negotiate::NegotiateFuture;
pub use negotiate::NegotiateToken;
pub use negotiate::Negotiated;
pub use negotiate::Negotiator;
pub use plugin::ConfigureError;
pub use plugin::SettingsError;
pub use plugin::SettingsWarning;
pub use plugin::check_settings_schema;
pub use request::AuthRequest;
pub use sandbox::PluginError;
