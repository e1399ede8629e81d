//! The component side of the SDK: the generated bindings, and the functions that connect them with an authenticator.
//! Authors use it through `export!` only.

mod convert;
mod fetch;
pub(crate) mod imports;
#[cfg(target_os = "wasi")]
mod stdio;

use std::cell::OnceCell;

use schemars::generate::SchemaSettings;

use crate::Authenticator;

#[allow(
    clippy::all,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    unsafe_code,
    unused_qualifications,
    reason = "generated from the contract"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "plugin",
        generate_all,
        pub_export_macro: true,
    });
}

pub use bindings::exports::portcullis::auth::authenticator::Guest;
pub use bindings::portcullis::auth::types::Grant;
pub use bindings::portcullis::auth::types::Refusal;
pub use bindings::portcullis::auth::types::Request;

/// The JSON Schema of an authenticator's settings.
pub fn settings_schema<A: Authenticator>() -> String {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<A::Settings>()
        .as_value()
        .to_string()
}

/// Makes the authenticator from its settings.
pub fn configure<A: Authenticator>(instance: &OnceCell<A>, settings: &str) -> Result<(), String> {
    let authenticator = crate::authenticator::configured(settings)?;
    #[cfg(target_os = "wasi")]
    stdio::flush();
    instance
        .set(authenticator)
        .map_err(|_| "the authenticator is already configured".to_owned())
}

/// Lets the authenticator decide about a request.
pub fn authenticate<A: Authenticator>(instance: &OnceCell<A>, request: &Request) -> Result<Grant, Refusal> {
    let Some(authenticator) = instance.get() else {
        return Err(Refusal::Unavailable("the authenticator is not configured".to_owned()));
    };
    let answer = authenticator.authenticate(request).map(Into::into).map_err(Into::into);
    #[cfg(target_os = "wasi")]
    stdio::flush();
    answer
}
