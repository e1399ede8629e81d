//! The macro that exports an authenticator as a component. Its expansion only connects the generated bindings with
//! functions of this crate.

/// Exports an [`Authenticator`](crate::Authenticator) as the component that the gateway loads. Call it once in a crate,
/// and set the `crate-type` of the crate to `cdylib`. In native builds it only checks that the type is an
/// authenticator.
#[macro_export]
macro_rules! export {
    ($authenticator:ty) => {
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
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_an_authenticator<A: $crate::Authenticator>() {}
            is_an_authenticator::<$authenticator>();
        };
    };
}
