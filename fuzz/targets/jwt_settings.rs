//! The settings of authenticators. Wrong ones must be an error with a text, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_plugin_jupyterhub::JupyterHub;
use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::configure;

fuzz_target!(|text: &str| {
    let _host = FakeHost::start();
    if let Err(error) = configure::<Jwt>(text) {
        assert!(!error.to_string().is_empty());
    }
    let _ = configure::<JupyterHub>(text);
});
