//! A JupyterHub's response: a user comes only from the user model, and nothing unreadable is cached.
#![cfg_attr(feature = "libfuzzer", no_main)]

use portcullis_plugin_jupyterhub::JupyterHub;
use portcullis_sdk::Response;
use portcullis_sdk::prelude::*;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure;

portcullis_fuzz::target!(|body: &[u8]| {
    let host = FakeHost::start();
    host.set_unix_seconds(1_800_000_000);
    host.answer("http://hub:8081/hub/api/user", Response::new(200).with_body(body));
    let settings = r#"{"api_url":"http://hub:8081/hub/api","service_name":"dask-gateway"}"#;
    let plugin: JupyterHub = configure(settings).unwrap();
    let ask = || plugin.authenticate(&RequestBuilder::get("/").header("authorization", "token t").build());
    let (first, second) = (ask(), ask());
    assert_eq!(first.is_ok(), second.is_ok());
    if first.is_ok() {
        // The plugin ignores fields that it doesn't need, even if they aren't UTF-8.
        let model: serde_json::Value = serde_json::from_str(&String::from_utf8_lossy(body)).unwrap();
        assert!(model["name"].as_str().is_some_and(|name| !name.is_empty()));
        assert!(model["scopes"].as_array().is_some_and(|scopes| {
            scopes
                .iter()
                .filter_map(|scope| scope.as_str())
                .any(|scope| scope.starts_with("access:services"))
        }));
    }
});
