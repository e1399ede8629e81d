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
use crate::Login;
use crate::Parameters;

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
        world: "authenticator-plugin",
        generate_all,
        pub_export_macro: true,
    });
}

/// What a login exports and imports besides that.
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
pub mod login_bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package portcullis:sdk;
            world login {
                import portcullis:auth/signing@0.2.0;
                export portcullis:auth/login@0.2.0;
            }
        ",
        world: "portcullis:sdk/login",
        with: {
            "portcullis:auth/types@0.2.0": crate::component::bindings::portcullis::auth::types,
            "portcullis:auth/crypto@0.2.0": crate::component::bindings::portcullis::auth::crypto,
        },
        generate_all,
        pub_export_macro: true,
    });
}

pub use bindings::exports::portcullis::auth::authenticator::Guest as AuthenticatorGuest;
pub use bindings::exports::portcullis::auth::plugin::Guest as PluginGuest;
pub use bindings::portcullis::auth::types::Grant;
pub use bindings::portcullis::auth::types::Refusal;
pub use bindings::portcullis::auth::types::Request;
pub use login_bindings::exports::portcullis::auth::login::Arrival;
pub use login_bindings::exports::portcullis::auth::login::Departure;
pub use login_bindings::exports::portcullis::auth::login::Flow;
pub use login_bindings::exports::portcullis::auth::login::Guest as LoginGuest;

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
    ask(instance, |authenticator| authenticator.authenticate(request))
}

/// Begins an attempt to log in.
pub fn begin<L: Login>(instance: &OnceCell<L>, flow: Flow) -> Result<Departure, Refusal> {
    ask(instance, |login| login.begin(&flow.into()))
}

/// Ends an attempt to log in.
pub fn finish<L: Login>(
    instance: &OnceCell<L>,
    flow: Flow,
    memo: &[u8],
    parameters: Vec<(String, String)>,
) -> Result<Arrival, Refusal> {
    ask(instance, |login| {
        let arrival = login.finish(&flow.into(), memo, &Parameters::new(parameters))?;
        arrival.bounded()
    })
}

/// Says whether a session still holds.
pub fn renew<L: Login>(instance: &OnceCell<L>, keep: &[u8]) -> Result<Arrival, Refusal> {
    ask(instance, |login| login.renew(keep)?.bounded())
}

/// Says where the provider signs a user out.
pub fn end<L: Login>(instance: &OnceCell<L>, keep: Option<&[u8]>, return_to: &str) -> Option<String> {
    let place = instance.get().and_then(|login| login.end(keep, return_to));
    #[cfg(target_os = "wasi")]
    stdio::flush();
    place
}

/// Receives a notice of the provider.
pub fn notice<L: Login>(instance: &OnceCell<L>, parameters: Vec<(String, String)>) -> Result<Vec<String>, Refusal> {
    ask(instance, |login| login.notice(&Parameters::new(parameters)))
}

fn ask<A, T, W: From<T>>(
    instance: &OnceCell<A>,
    question: impl FnOnce(&A) -> Result<T, crate::Refusal>,
) -> Result<W, Refusal> {
    let Some(plugin) = instance.get() else {
        return Err(Refusal::Unavailable("the plugin is not configured".to_owned()));
    };
    let answer = question(plugin).map(Into::into).map_err(Into::into);
    #[cfg(target_os = "wasi")]
    stdio::flush();
    answer
}
