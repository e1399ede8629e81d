//! Which credentials are sent to the hub. It is not asked about anything that can't be a token.

use super::*;

#[test]
fn a_token_for_the_service_is_accepted_under_every_scheme() {
    for authorization in [
        "jupyterhub t0k",
        "JupyterHub t0k",
        "token t0k",
        "TOKEN  t0k",
        "Bearer t0k",
        "bearer t0k",
    ] {
        let host = hub_with_alice();
        let grant = Grant::from(User::new("alice").with_groups(["ml"]).admin(true)).valid_for(Duration::from_secs(300));
        assert_eq!(ask(&scoped(), authorization), Ok(grant), "{authorization}");
        let sent = host.requests();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].url, USER_URL);
        assert_eq!(sent[0].header("authorization").as_deref(), Some("token t0k"));
        assert_eq!(sent[0].timeout, Duration::from_secs(4));
    }
}

#[test]
fn requests_without_a_token_are_left_to_other_authenticators() {
    let host = hub_with_alice();
    for authorization in ["", "Basic YWxpY2U6", "jupyterhubs t0k"] {
        assert_eq!(
            ask(&scoped(), authorization),
            Err(Refusal::not_mine(Challenge::new("jupyterhub")))
        );
    }
    let bare = scoped().authenticate(&RequestBuilder::get("/").build());
    assert_eq!(bare, Err(Refusal::not_mine(Challenge::new("jupyterhub"))));
    assert!(host.requests().is_empty());
}

#[test]
fn a_malformed_token_is_refused_and_not_sent() {
    let host = hub_with_alice();
    for authorization in [
        "jupyterhub",
        "token ",
        "token a b",
        "token t\u{e4}",
        "token a\tb",
        &format!("token {}", "a".repeat(9000)),
    ] {
        assert!(
            matches!(ask(&scoped(), authorization), Err(Refusal::Unauthenticated(..))),
            "{authorization}"
        );
    }
    let twice = RequestBuilder::get("/")
        .header("authorization", "token a")
        .header("authorization", "token b")
        .build();
    assert!(matches!(
        scoped().authenticate(&twice),
        Err(Refusal::Unauthenticated(..))
    ));
    assert!(host.requests().is_empty());
}
