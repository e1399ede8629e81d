//! The contract in `wit/` as Rust types, generated at compile time. The interfaces that plugins import are implemented
//! in `sandbox`, except for WASI, which comes from Wasmtime.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::or_fun_call,
    clippy::use_self,
    reason = "generated, and differently by each version of the generator"
)]

// A world with all interfaces. A component exports those of its roles.
wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package portcullis:host;
        world every-role {
            include portcullis:auth/login-plugin@0.2.0;
            export portcullis:auth/authorizer@0.2.0;
        }
    ",
    world: "portcullis:host/every-role",
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:random": wasmtime_wasi::p2::bindings::random,
        "wasi:http": wasmtime_wasi_http::p2::bindings::http,
        "portcullis:auth/types.request": crate::contract::RequestHandle,
    },
    imports: {
        "portcullis:auth/cache": async | trappable,
        "portcullis:auth/crypto.verify-password": async | trappable,
        "portcullis:auth/negotiate.accept": async | trappable,
        "portcullis:auth/outbound.fetch": async | trappable,
        "portcullis:auth/signing.sign": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

/// A plugin's handle to the request. It carries no data, because each instance has exactly one request.
#[derive(Debug)]
pub struct RequestHandle;
