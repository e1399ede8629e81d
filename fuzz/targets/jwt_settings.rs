//! Settings of an authenticator: wrong ones cause an error that says where they are, and never a panic.
#![cfg_attr(feature = "libfuzzer", no_main)]

use portcullis_plugin_jupyterhub::JupyterHub;
use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::configure;

portcullis_fuzz::target!(|text: &str| {
    let _host = FakeHost::start();
    if let Err(error) = configure::<Jwt>(text) {
        assert!(!error.to_string().is_empty());
    }
    let _ = configure::<JupyterHub>(text);
});
