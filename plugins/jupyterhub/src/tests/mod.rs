//! Tests of the plugin with a fake hub. They cover what it asks, how it decides, and how long it caches the answers.

mod answers;
mod cache;
mod credentials;
mod login;
mod settings;

use std::time::Duration;

use portcullis_sdk::Response;
use portcullis_sdk::http::HttpError;
use portcullis_sdk::log::Level;
use portcullis_sdk::prelude::*;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure;
use serde_json::Value;
use serde_json::json;

use super::JupyterHub;

const USER_URL: &str = "http://hub:8081/hub/api/user";

fn plugin(settings: Value) -> JupyterHub {
    let mut all = json!({ "api_url": "http://hub:8081/hub/api" });
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    configure(&all.to_string()).unwrap()
}

fn scoped() -> JupyterHub {
    plugin(json!({ "service_name": "dask-gateway" }))
}

fn ask(plugin: &JupyterHub, authorization: &str) -> Result<Grant, Refusal> {
    plugin.authenticate(&RequestBuilder::get("/").header("authorization", authorization).build())
}

fn alice(scopes: &[&str]) -> Response {
    let model = json!({ "kind": "user", "name": "alice", "admin": true, "groups": ["ml"], "scopes": scopes });
    Response::new(200).with_body(model.to_string())
}

fn hub_that_answers(answer: Response) -> FakeHost {
    let host = FakeHost::start();
    host.set_unix_seconds(1_000_000);
    host.answer(USER_URL, answer);
    host
}

fn hub_with_alice() -> FakeHost {
    hub_that_answers(alice(&[
        "access:services!service=dask-gateway",
        "read:users:name!user=alice",
    ]))
}
