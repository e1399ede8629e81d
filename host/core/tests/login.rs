//! Logins: what they are asked, which of their answers are accepted, and how each of their functions fails. The plugin is the
//! guest of `tests/guests/scripted`, which does as the test tells it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis::Arrival;
use portcullis::AuthRequest;
use portcullis::Authenticator;
use portcullis::Flow;
use portcullis::Grants;
use portcullis::Handle;
use portcullis::Limits;
use portcullis::Login;
use portcullis::LoginCall;
use portcullis::LoginError;
use portcullis::Role;
use portcullis::SigningKey;

use self::common::SCRIPTED;
use self::common::built_in;
use self::common::request;
use self::common::simple;

fn anybody() -> Arc<AuthRequest> {
    request(&[])
}

async fn scripted(limits: Limits) -> Authenticator {
    let grants = Grants {
        login: vec![
            "https://id.example/authorize".parse().unwrap(),
            "https://id.example/out".parse().unwrap(),
        ],
        ..Grants::default()
    };
    let builder = Authenticator::builder("scripted", &SCRIPTED)
        .grants(grants)
        .limits(limits);
    builder.build().await.unwrap()
}

async fn login() -> Login {
    // A call that loops ends soon.
    let limits = Limits {
        deadline: Duration::from_millis(300),
        breaker: None,
        ..Limits::default()
    };
    scripted(limits).await.login().unwrap()
}

fn flow(script: &str) -> Flow {
    Flow {
        state: script.to_owned(),
        redirect_uri: "https://gateway.test/.portcullis/login/scripted/callback".to_owned(),
        silent: true,
    }
}

fn told(script: &str) -> Vec<(String, String)> {
    vec![("do".to_owned(), script.to_owned())]
}

/// What each function answers to a script, in words.
async fn answers(login: &Login, script: &str) -> [(&'static str, Result<String, LoginError>); 5] {
    let anybody = anybody();
    let begun = login.begin(&anybody, &flow(script)).await;
    let finished = login.finish(&anybody, &flow("s"), b"", told(script)).await;
    let renewed = login.renew(&anybody, script.as_bytes()).await;
    let ended = login.end(&anybody, None, script).await;
    let noticed = login.notice(&anybody, told(script)).await;
    [
        ("begin", words(begun)),
        ("finish", words(finished)),
        ("renew", words(renewed)),
        ("end", words(ended)),
        ("notice", words(noticed)),
    ]
}

fn words<T: std::fmt::Debug>(call: LoginCall<T>) -> Result<String, LoginError> {
    call.result.map(|answer| format!("{answer:?}"))
}

#[tokio::test]
async fn a_component_says_whether_it_is_a_login() {
    assert_eq!(SCRIPTED.roles(), [Role::Authenticator, Role::Login]);
    assert!(SCRIPTED.exports().contains(&"portcullis:auth/login@0.2.0".to_owned()));
    assert_eq!(built_in("simple").roles(), [Role::Authenticator]);
    assert!(simple(serde_json::json!({})).await.login().is_none());
    assert!(Authenticator::disabled("d", Grants::default(), "why").login().is_none());
}

#[tokio::test]
async fn a_flow_goes_from_its_beginning_to_its_end() {
    let login = login().await;
    assert_eq!(login.name(), "scripted");
    let begun = login
        .begin(&anybody(), &flow("go https://id.example/authorize?a=b 512"))
        .await;
    let departure = begun.result.unwrap();
    assert_eq!(departure.location, "https://id.example/authorize?a=b");
    assert_eq!(departure.memo, [b'x'; 512]);
    assert!(begun.memory > 0);

    let script = told("arrive alice 2048 sid:1 sub:alice 128 1");
    let arrival = login
        .finish(&anybody(), &flow("s"), &departure.memo, script)
        .await
        .result
        .unwrap();
    assert_eq!(arrival.identity().name(), "alice");
    let seen = arrival.identity().attribute("flow");
    assert_eq!(
        seen,
        Some("s https://gateway.test/.portcullis/login/scripted/callback true 512")
    );
    assert_eq!(arrival.authenticated().authenticator(), "scripted");
    assert_eq!(arrival.renew_after(), Duration::from_secs(60));
    assert_eq!(arrival.keep().map(<[u8]>::len), Some(2048));
    assert_eq!(
        Vec::from_iter(arrival.handles().iter().map(|handle| handle.as_str().len())),
        [5, 9, 128, 1]
    );

    let renewed = login.renew(&anybody(), b"arrive bob 0").await.result.unwrap();
    assert_eq!((renewed.identity().name(), renewed.handles()), ("bob", &[][..]));
    let out = login.end(&anybody(), Some(b"https://id.example/out?a"), "kept").await;
    assert_eq!(out.result, Ok(Some("https://id.example/out?a".to_owned())));
    assert_eq!(login.end(&anybody(), None, "nowhere").await.result, Ok(None));
    let noticed = login.notice(&anybody(), told("handles a b")).await;
    assert_eq!(
        noticed.result,
        Ok(vec![Handle::new("a").unwrap(), Handle::new("b").unwrap()])
    );
}

#[tokio::test]
async fn a_refusal_is_what_it_says() {
    let login = login().await;
    let why = || "requested by the test".to_owned();
    for (script, expected) in [
        ("refuse not-mine", LoginError::NotMine),
        ("refuse unauthenticated", LoginError::Unauthenticated(why())),
        ("refuse forbidden", LoginError::Forbidden(why())),
        ("refuse unavailable", LoginError::Unavailable(why())),
    ] {
        for (function, answer) in answers(&login, script).await {
            let expected = match function {
                // It has no refusals.
                "end" => Ok("None".to_owned()),
                _ => Err(expected.clone()),
            };
            assert_eq!(answer, expected, "{function} {script}");
        }
    }
    let odd = login.renew(&anybody(), b"arrive \n 0").await.result;
    assert!(
        matches!(&odd, Err(LoginError::Forbidden(why)) if why.contains("control character")),
        "{odd:?}"
    );
}

/// A plugin that fails lets nobody in, and the next call is served.
#[tokio::test]
async fn each_function_may_fail_in_every_way() {
    let login = login().await;
    for (script, expected) in [("panic", "it panicked or aborted"), ("loop", "deadline")] {
        for (function, answer) in answers(&login, script).await {
            let Err(LoginError::Failed(why)) = &answer else {
                panic!("{function} {script}: {answer:?}");
            };
            assert!(why.contains(expected), "{function} {script}: {why}");
        }
    }
    let alive = login.renew(&anybody(), b"arrive alice 0").await;
    assert!(alive.result.is_ok());
}

#[tokio::test]
async fn an_answer_out_of_bounds_is_a_failure_that_says_why() {
    let login = login().await;
    let anybody = anybody();
    let long = format!("go https://id.example/authorize?{} 0", "a".repeat(8192));
    for (script, expected) in [
        ("go https://id.example/authorize 513", "a memo of more than 512 bytes"),
        (
            "go https://evil.example/authorize?code=x 0",
            "\"https://evil.example/authorize\", which grants.login doesn't cover",
        ),
        ("go https://id.example/other 0", "grants.login"),
        ("go https://id.example/authorize/../other 0", "grants.login"),
        ("go http://id.example/authorize 0", "grants.login"),
        ("go //id.example/authorize 0", "grants.login"),
        ("go https://id.example\\@evil.example/authorize 0", "grants.login"),
        ("go javascript:alert(1) 0", "grants.login"),
        ("go  0", "grants.login"),
        (&long, "more than 8 KiB"),
        ("refuse respond", "a response of its own"),
    ] {
        let answer = login.begin(&anybody, &flow(script)).await.result;
        failed(answer, script, expected);
    }
    for (script, expected) in [
        ("arrive alice 0 a b c d e", "more than 4 handles"),
        ("arrive alice 0 129", "longer than 128 bytes"),
        ("arrive alice 0 0", "a handle that is empty"),
        ("refuse respond", "a response of its own"),
    ] {
        failed(login.renew(&anybody, script.as_bytes()).await.result, script, expected);
        failed(
            login.finish(&anybody, &flow("s"), b"", told(script)).await.result,
            script,
            expected,
        );
    }
    failed(
        login.end(&anybody, None, "place https://evil.example/").await.result,
        "place",
        "grants.login",
    );
    let many = format!("handles{}", " a".repeat(17));
    for (script, expected) in [
        (many.as_str(), "more than 16 handles"),
        ("handles 129", "longer than 128"),
    ] {
        failed(login.notice(&anybody, told(script)).await.result, script, expected);
    }
}

fn failed<T: std::fmt::Debug>(answer: Result<T, LoginError>, script: &str, expected: &str) {
    let Err(LoginError::Failed(why)) = &answer else {
        panic!("{script}: {answer:?}");
    };
    assert!(why.contains(expected) && !why.contains("code=x"), "{script}: {why}");
}

#[tokio::test]
async fn a_login_is_called_within_its_limits() {
    let once = Limits {
        rate: Some("1/h".parse().unwrap()),
        ..Limits::default()
    };
    let login = scripted(once).await.login().unwrap();
    let mut client = (*anybody()).clone();
    client.client_address = Some("192.0.2.1".parse().unwrap());
    assert!(login.renew(&client, b"arrive alice 0").await.result.is_ok());
    let second = login
        .begin(&client, &flow("go https://id.example/authorize 0"))
        .await
        .result;
    assert!(
        matches!(second, Err(LoginError::TurnedAway { by_rate: true, .. })),
        "{second:?}"
    );

    let login = self::login().await;
    let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
    let huge = vec![("do".to_owned(), "x".repeat(64 << 10))];
    for parameters in [many, huge] {
        let finished = login
            .finish(&anybody(), &flow("s"), b"", parameters.clone())
            .await
            .result;
        assert!(
            matches!(&finished, Err(LoginError::Unauthenticated(why)) if why.contains("64 parameters")),
            "{finished:?}"
        );
        assert!(login.notice(&anybody(), parameters).await.result.is_err());
    }
}

#[tokio::test]
async fn a_login_signs_with_keys_that_are_granted_by_name() {
    let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = BASE64_STANDARD.encode(pair.to_pkcs8v1().unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
    let grants = Grants {
        login: vec!["https://id.example".parse().unwrap()],
        signing: vec!["client".to_owned(), "gone".to_owned()],
        ..Grants::default()
    };
    let builder = Authenticator::builder("scripted", &SCRIPTED).grants(grants);
    let builder = builder.signing_key("client", key.clone()).signing_key("other", key);
    let login = builder.build().await.unwrap().login().unwrap();
    let flow = flow("sign client");
    let signed = login.begin(&anybody(), &flow).await.result.unwrap().memo;
    let public = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    public.verify(flow.redirect_uri.as_bytes(), &signed).unwrap();
    for name in ["other", "gone", "nobody's"] {
        let answer = login
            .begin(
                &anybody(),
                &Flow {
                    state: format!("sign {name}"),
                    ..flow.clone()
                },
            )
            .await;
        let Err(LoginError::Unavailable(why)) = &answer.result else {
            panic!("{name}: {answer:?}");
        };
        assert!(why.contains("no key of this name is granted"), "{name}: {why}");
    }
}

/// What an application must not see in a log by accident.
#[tokio::test]
async fn debug_output_omits_secrets_of_a_flow() {
    let login = login().await;
    let begun = login
        .begin(&anybody(), &flow("go https://id.example/authorize?secret=1 8"))
        .await;
    let arrival: Arrival = login.renew(&anybody(), b"arrive alice hunter2").await.result.unwrap();
    let shown = format!("{begun:?} {arrival:?} {:?}", flow("secret"));
    assert!(
        shown.contains("https://id.example/authorize") && shown.contains("alice"),
        "{shown}"
    );
    assert!(!shown.contains("secret") && !shown.contains("hunter2"), "{shown}");
}
