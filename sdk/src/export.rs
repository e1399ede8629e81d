//! The macro that exports a plugin as a component. Its expansion only connects the generated bindings with
//! functions of this crate.

/// Exports an [`Authenticator`](crate::Authenticator), or with `export!(MyPolicy, authorizer)` an
/// [`Authorizer`](crate::Authorizer), as the component that the gateway loads. Call it once in a crate, and set the `crate-type`
/// of the crate to `cdylib`. In native builds it only checks that the type is one.
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
/// The keys are those of the configuration: `headers`, `cookies`, `query`, `http`, `login`, `signing`, `client_certificate = true`
/// and `negotiate = true`. Leave out what settings name: the annotation `x-portcullis-grant` in their schema says it. The name
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
///
/// A type that also implements [`Login`](crate::Login) is exported in both roles by `export!(MyLogin, login, grants = { … })`.
/// A component is either an authenticator or an authorizer. The cases of an authorizer's self-test have a `user`.
#[macro_export]
macro_rules! export {
    (@role authenticator $plugin:ty) => {
        $crate::export!(@configured $crate::Authenticator, $plugin);

        impl $crate::component::AuthenticatorGuest for Component {
            fn authenticate(
                request: &$crate::Request,
            ) -> ::std::result::Result<$crate::component::Grant, $crate::component::Refusal> {
                INSTANCE.with(|instance| $crate::component::authenticate(instance, request))
            }
        }

        $crate::component::authenticator_bindings::export!(Component with_types_in $crate::component::authenticator_bindings);
    };
    (@role authorizer $plugin:ty) => {
        $crate::export!(@configured $crate::Authorizer, $plugin);

        impl $crate::component::AuthorizerGuest for Component {
            fn authorize(
                request: &$crate::Request,
                principal: ::std::option::Option<$crate::component::Principal>,
            ) -> ::std::result::Result<$crate::component::Permit, $crate::component::Denial> {
                INSTANCE.with(|instance| $crate::component::authorize(instance, request, principal))
            }
        }

        $crate::component::authorizer_bindings::export!(Component with_types_in $crate::component::authorizer_bindings);
    };
    (@role login $plugin:ty) => {
        $crate::export!(@role authenticator $plugin);

        impl $crate::component::LoginGuest for Component {
            fn begin(
                flow: $crate::component::Flow,
            ) -> ::std::result::Result<$crate::component::Departure, $crate::component::Refusal> {
                INSTANCE.with(|instance| $crate::component::begin(instance, flow))
            }

            fn finish(
                flow: $crate::component::Flow,
                memo: ::std::vec::Vec<u8>,
                parameters: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
            ) -> ::std::result::Result<$crate::component::Arrival, $crate::component::Refusal> {
                INSTANCE.with(|instance| $crate::component::finish(instance, flow, &memo, parameters))
            }

            fn renew(
                keep: ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<$crate::component::Arrival, $crate::component::Refusal> {
                INSTANCE.with(|instance| $crate::component::renew(instance, &keep))
            }

            fn end(
                keep: ::std::option::Option<::std::vec::Vec<u8>>,
                return_to: ::std::string::String,
            ) -> ::std::option::Option<::std::string::String> {
                INSTANCE.with(|instance| $crate::component::end(instance, keep.as_deref(), &return_to))
            }

            fn notice(
                parameters: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
            ) -> ::std::result::Result<::std::vec::Vec<::std::string::String>, $crate::component::Refusal> {
                INSTANCE.with(|instance| $crate::component::notice(instance, parameters))
            }
        }

        $crate::component::login_bindings::export!(Component with_types_in $crate::component::login_bindings);
    };
    (@configured $role:path, $plugin:ty) => {
        impl $crate::component::PluginGuest for Component {
            fn settings_schema() -> ::std::string::String {
                $crate::component::settings_schema::<<$plugin as $role>::Settings>()
            }

            fn configure(settings: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                INSTANCE.with(|instance| $crate::component::configure(instance, &settings, <$plugin as $role>::new))
            }
        }

        $crate::component::bindings::export!(Component with_types_in $crate::component::bindings);
    };
    (@check authenticator $plugin:ty) => {
        fn is_an_authenticator<A: $crate::Authenticator>() {}
        is_an_authenticator::<$plugin>();
    };
    (@check authorizer $plugin:ty) => {
        fn is_an_authorizer<A: $crate::Authorizer>() {}
        is_an_authorizer::<$plugin>();
    };
    (@check login $plugin:ty) => {
        fn is_a_login<L: $crate::Login>() {}
        is_a_login::<$plugin>();
    };
    (@idempotent_renewal login $plugin:ty) => {
        <$plugin as $crate::Login>::IDEMPOTENT_RENEWAL
    };
    (@idempotent_renewal $role:ident $plugin:ty) => {
        false
    };
    (@plugin $plugin:ty, $role:ident $(, grants = $grants:tt)? $(, self_test = $self_test:tt)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: ::std::cell::OnceCell<$plugin> = const { ::std::cell::OnceCell::new() };
            }

            struct Component;

            $crate::export!(@role $role $plugin);

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
            idempotent_renewal: $crate::export!(@idempotent_renewal $role $plugin),
            self_test: $crate::manifest_self_test!($($self_test)?),
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            $crate::export!(@check $role $plugin);
        };
    };
    ($plugin:ty, authorizer $(, grants = $grants:tt)? $(, self_test = $self_test:tt)? $(,)?) => {
        $crate::export!(@plugin $plugin, authorizer $(, grants = $grants)? $(, self_test = $self_test)?);
    };
    ($plugin:ty, login $(, grants = $grants:tt)? $(, self_test = $self_test:tt)? $(,)?) => {
        $crate::export!(@plugin $plugin, login $(, grants = $grants)? $(, self_test = $self_test)?);
    };
    ($plugin:ty $(, grants = $grants:tt)? $(, self_test = $self_test:tt)? $(,)?) => {
        $crate::export!(@plugin $plugin, authenticator $(, grants = $grants)? $(, self_test = $self_test)?);
    };
}
