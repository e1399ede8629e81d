//! Wrong settings. Each error names the setting.

use super::*;

#[test]
fn wrong_settings_are_errors_that_name_the_setting() {
    let cases = [
        (json!({}), "service_name: set it, or access_scopes"),
        (json!({ "service_name": "" }), "service_name: it must not be empty"),
        (
            json!({ "service_name": "x", "allow_any_token": true }),
            "allow_any_token: it contradicts",
        ),
        (
            json!({ "access_scopes": [] }),
            "access_scopes: expected at least one scope",
        ),
        (
            json!({ "service_name": "x", "api_url": "hub:8081" }),
            "api_url: expected an http or https URL",
        ),
        (
            json!({ "service_name": "x", "cache": "6m" }),
            "cache: at most 5 minutes",
        ),
        (
            json!({ "service_name": "x", "timeout": 0 }),
            "timeout: it must be longer",
        ),
        (json!({ "servicename": "x" }), "servicename: unknown field"),
    ];
    for (settings, expected) in cases {
        let mut all = json!({ "api_url": "http://hub:8081/hub/api" });
        all.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        let error = configure::<JupyterHub>(&all.to_string()).unwrap_err();
        assert!(error.starts_with(expected), "{settings}: {error}");
    }
}
