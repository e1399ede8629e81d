//! The macro that exports an authenticator as a component. Its expansion only connects the generated bindings with
//! functions of this crate.

/// Exports an [`Authenticator`](crate::Authenticator) as the component that the gateway loads. Call it once in a crate,
/// and set the `crate-type` of the crate to `cdylib`. In native builds it only checks that the type is an
/// authenticator.
///
/// The component says what it is: name, version and description of the crate. Say also which grants it asks for, so that
/// operators are told of one that is missing, and of one that it doesn't need:
///
/// ```
/// # use portcullis_sdk::prelude::*;
/// # struct ApiKey;
/// # impl Authenticator for ApiKey {
/// #     type Settings = std::collections::BTreeMap<String, String>;
/// #     fn new(_: Self::Settings) -> Result<Self, SettingsError> { Ok(Self) }
/// #     fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> { Err(Refusal::not_mine(None)) }
/// # }
/// portcullis_sdk::export!(ApiKey, grants = { headers = ["x-api-key"], http = ["https://api.example"] });
/// ```
///
/// The keys are those of the configuration: `headers`, `cookies`, `query`, `http`, `client_certificate = true` and
/// `negotiate = true`. Leave out what settings name: the annotation `x-portcullis-grant` in their schema says it. The name
/// `"*"` stands for others that neither can name, such as servers that another server names.
///
/// A self-test is a list of requests about which the gateway asks the plugin when it loads it, before any request of a client. There
/// are at most eight, with the keys of a case of `portcullis plugin test`. Each is asked with the settings of the operator, so expect only
/// what holds for all of them. If one isn't answered as expected, a new version isn't taken up.
///
/// ```
/// # use portcullis_sdk::prelude::*;
/// # struct ApiKey;
/// # impl Authenticator for ApiKey {
/// #     type Settings = std::collections::BTreeMap<String, String>;
/// #     fn new(_: Self::Settings) -> Result<Self, SettingsError> { Ok(Self) }
/// #     fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> { Err(Refusal::not_mine(None)) }
/// # }
/// portcullis_sdk::export!(
///     ApiKey,
///     grants = { headers = ["x-api-key"] },
///     self_test = [
///         { name = "without a key, the next authenticator is asked", expect = { verdict = "pass" } },
///         {
///             name = "no key is empty",
///             request = { headers = { "X-Api-Key" = "" } },
///             expect = { status = 401, verdict = "reject" },
///         },
///     ],
/// );
/// ```
#[macro_export]
macro_rules! export {
    ($authenticator:ty $(, grants = $grants:tt)? $(, self_test = $self_test:tt)? $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: ::std::cell::OnceCell<$authenticator> = const { ::std::cell::OnceCell::new() };
            }

            struct Component;

            impl $crate::component::Guest for Component {
                fn settings_schema() -> ::std::string::String {
                    $crate::component::settings_schema::<$authenticator>()
                }

                fn configure(settings: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    INSTANCE.with(|instance| $crate::component::configure(instance, &settings))
                }

                fn authenticate(
                    request: &$crate::Request,
                ) -> ::std::result::Result<$crate::component::Grant, $crate::component::Refusal> {
                    INSTANCE.with(|instance| $crate::component::authenticate(instance, request))
                }
            }

    $crate::component::bindings::export!(Component with_types_in $crate::component::bindings);

            #[used]
            #[unsafe(link_section = "portcullis:manifest")]
            static MANIFEST: [u8; MANIFEST_CONTENT.length()] = MANIFEST_CONTENT.json();
        };

        #[doc(hidden)]
        #[allow(dead_code, reason = "native builds only check it")]
        const MANIFEST_CONTENT: $crate::manifest::Manifest = $crate::manifest::Manifest {
            name: ::std::env!("CARGO_PKG_NAME"),
            version: ::std::env!("CARGO_PKG_VERSION"),
            description: ::std::env!("CARGO_PKG_DESCRIPTION"),
            grants: $crate::manifest_grants!($($grants)?),
            self_test: $crate::manifest_self_test!($($self_test)?),
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_an_authenticator<A: $crate::Authenticator>() {}
            is_an_authenticator::<$authenticator>();
        };
    };
}
