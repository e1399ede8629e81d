//! The component side of the SDK: the generated bindings, and the functions that connect them with a plugin.
//! Authors use it through `export!` only.

mod convert;
mod fetch;
pub(crate) mod imports;
#[cfg(target_os = "wasi")]
mod stdio;

use std::cell::OnceCell;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;

use crate::Authenticator;
use crate::Authorizer;
use crate::Login;
use crate::Parameters;
use crate::SettingsError;

/// What every plugin imports and exports.
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
        world: "any-plugin",
        generate_all,
        pub_export_macro: true,
    });
}

/// What an authenticator exports besides that.
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
pub mod authenticator_bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package portcullis:sdk;
            world authenticator {
                export portcullis:auth/authenticator@0.2.0;
            }
        ",
        world: "portcullis:sdk/authenticator",
        with: {
            "portcullis:auth/types@0.2.0": crate::component::bindings::portcullis::auth::types,
        },
        generate_all,
        pub_export_macro: true,
    });
}

/// What a login exports and imports besides what an authenticator does.
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

/// What an authorizer exports besides what every plugin does.
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
pub mod authorizer_bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package portcullis:sdk;
            world authorizer {
                export portcullis:auth/authorizer@0.2.0;
            }
        ",
        world: "portcullis:sdk/authorizer",
        with: {
            "portcullis:auth/types@0.2.0": crate::component::bindings::portcullis::auth::types,
        },
        generate_all,
        pub_export_macro: true,
    });
}

pub use authenticator_bindings::exports::portcullis::auth::authenticator::Guest as AuthenticatorGuest;
pub use authorizer_bindings::exports::portcullis::auth::authorizer::Denial;
pub use authorizer_bindings::exports::portcullis::auth::authorizer::Guest as AuthorizerGuest;
pub use authorizer_bindings::exports::portcullis::auth::authorizer::Permit;
pub use authorizer_bindings::exports::portcullis::auth::authorizer::Principal;
pub use bindings::exports::portcullis::auth::plugin::Guest as PluginGuest;
pub use bindings::portcullis::auth::types::Grant;
pub use bindings::portcullis::auth::types::Refusal;
pub use bindings::portcullis::auth::types::Request;
pub use login_bindings::exports::portcullis::auth::login::Arrival;
pub use login_bindings::exports::portcullis::auth::login::Departure;
pub use login_bindings::exports::portcullis::auth::login::Flow;
pub use login_bindings::exports::portcullis::auth::login::Guest as LoginGuest;

/// The JSON Schema of a plugin's settings.
pub fn settings_schema<S: JsonSchema>() -> String {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<S>()
        .as_value()
        .to_string()
}

/// Makes the plugin from its settings with its function `new`.
pub fn configure<S: DeserializeOwned, P>(
    instance: &OnceCell<P>,
    settings: &str,
    new: fn(S) -> Result<P, SettingsError>,
) -> Result<(), String> {
    let plugin = crate::configured::configured(settings, new)?;
    #[cfg(target_os = "wasi")]
    stdio::flush();
    instance
        .set(plugin)
        .map_err(|_| "the plugin is already configured".to_owned())
}

/// Lets the authenticator decide about a request.
pub fn authenticate<A: Authenticator>(instance: &OnceCell<A>, request: &Request) -> Result<Grant, Refusal> {
    ask(instance, |authenticator| authenticator.authenticate(request))
}

/// Lets the authorizer decide about a request.
pub fn authorize<A: Authorizer>(
    instance: &OnceCell<A>,
    request: &Request,
    principal: Option<Principal>,
) -> Result<Permit, Denial> {
    let Some(authorizer) = instance.get() else {
        return Err(Denial::Unavailable(UNCONFIGURED.to_owned()));
    };
    let answer = match principal {
        Some(principal) => authorizer.authorize(request, &principal.into()),
        None => authorizer.authorize_anonymous(request),
    };
    #[cfg(target_os = "wasi")]
    stdio::flush();
    answer.map(Into::into).map_err(Into::into)
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

const UNCONFIGURED: &str = "the plugin is not configured";

fn ask<A, T, W: From<T>>(
    instance: &OnceCell<A>,
    question: impl FnOnce(&A) -> Result<T, crate::Refusal>,
) -> Result<W, Refusal> {
    let Some(plugin) = instance.get() else {
        return Err(Refusal::Unavailable(UNCONFIGURED.to_owned()));
    };
    let answer = question(plugin).map(Into::into).map_err(Into::into);
    #[cfg(target_os = "wasi")]
    stdio::flush();
    answer
}
