//! What the authorizer asks of a request. A decision is reused for requests in which that is the same.

use portcullis_sdk::prelude::Authorizer;

use crate::request;
use crate::user;
use crate::with;

#[test]
fn nothing_is_read_but_what_a_policy_speaks_of() {
    for (policy, expected) in [
        ("permit (principal, action, resource);", &[] as &[&str]),
        (r#"permit (principal in Group::"a", action, resource);"#, &[]),
        (
            r#"permit (principal, action in Action::"read", resource);"#,
            &["method"],
        ),
        (r#"permit (principal, action, resource in Path::"/a");"#, &["path"]),
        (
            r#"permit (principal, action, resource) when { context.client.isLoopback() && resource.host == "a" };"#,
            &["client-address", "authority"],
        ),
        (
            "permit (principal, action, resource) when { context.certificate };",
            &["client-certificate"],
        ),
        (
            r#"permit (principal, action, resource) when { resource.scheme == "https" };"#,
            &["scheme"],
        ),
        (
            r#"permit (principal, action, resource) when { resource.path like "/a*" };"#,
            &["path"],
        ),
        (
            r#"permit (principal, action, resource) when { context.weekday == "Sunday" };"#,
            &[],
        ),
    ] {
        let request = request("GET", "/");
        let _ = with(policy).authorize(&request, &user("alice", &[]));
        assert_eq!(request.attributes_read(), expected, "{policy}");
    }
}
