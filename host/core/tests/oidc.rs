//! The built-in login `oidc` in the sandbox, through the gateway's client, at a provider that this process plays. What it refuses is
//! tested beside it, natively.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::SystemTime;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use http::Response;
use http::Uri;
use portcullis::Authenticator;
use portcullis::Flow;
use portcullis::Grants;
use portcullis::Login;
use portcullis::LoginError;
use portcullis::Outbound;
use portcullis::PlayedAnswer;
use portcullis::PlayedServers;
use portcullis::SigningKey;
use serde_json::Value;
use serde_json::json;

use self::common::built_in;
use self::common::request;

const ISSUER: &str = "https://id.example";

/// The provider: its key, the nonce of the latest login, and the forms that its token endpoint got.
struct Provider {
    key: EcdsaKeyPair,
    nonce: Mutex<String>,
    forms: Mutex<Vec<String>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

impl Provider {
    fn token(&self, typ: &str, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": "1", "typ": typ });
        let [header, claims] = [&header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y })
    }
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

impl PlayedServers for Provider {
    fn plays(&self, server: &Uri) -> bool {
        server.host() == Some("id.example")
    }

    fn answer(&self, request: Request<Bytes>) -> PlayedAnswer<'_> {
        let answer = match request.uri().path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": ISSUER, "authorization_endpoint": "https://id.example/authorize",
                "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/keys",
                "end_session_endpoint": "https://id.example/out", "authorization_response_iss_parameter_supported": true,
            }),
            "/keys" => json!({ "keys": [self.jwk()] }),
            "/token" => {
                let form = String::from_utf8_lossy(request.body()).into_owned();
                self.forms.lock().unwrap().push(form);
                let claims = json!({
                    "iss": ISSUER, "aud": "us", "sub": "alice", "sid": "s1", "iat": now(), "exp": now() + 60,
                    "nonce": *self.nonce.lock().unwrap(), "groups": Vec::from_iter((0..200).map(|n| format!("group-{n}"))),
                });
                json!({ "access_token": "at", "token_type": "Bearer", "id_token": self.token("JWT", &claims) })
            }
            _ => return Box::pin(async { None }),
        };
        Box::pin(async move { Some(Response::new(answer.to_string().into())) })
    }
}

async fn login(provider: &Arc<Provider>, key: &SigningKey) -> Login {
    let servers: Arc<dyn PlayedServers> = Arc::<Provider>::clone(provider);
    let grants = Grants {
        http: vec!["https://id.example".parse().unwrap()],
        login: ["https://id.example/authorize", "https://id.example/out"]
            .map(|place| place.parse().unwrap())
            .to_vec(),
        signing: vec!["client".to_owned()],
        ..Grants::default()
    };
    let settings = json!({
        "issuer": ISSUER, "client_id": "us", "signing_key": "client", "signing_algorithm": "ES256", "groups_claim": "groups",
    });
    let builder = Authenticator::builder("id", &built_in("oidc"))
        .settings(settings)
        .grants(grants)
        .signing_key("client", key.clone())
        .outbound(Outbound::default().servers(servers));
    builder.build().await.unwrap().login().unwrap()
}

#[tokio::test]
async fn somebody_logs_in_and_the_provider_ends_it() {
    let pair = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (own, key) = (pair(), pair());
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64_STANDARD.encode(own.to_pkcs8v1().unwrap())
    );
    let provider = Arc::new(Provider {
        key,
        nonce: Mutex::default(),
        forms: Mutex::default(),
    });
    let login = login(&provider, &SigningKey::from_pem(pem.as_bytes()).unwrap()).await;
    let anybody = request(&[]);
    let flow = Flow {
        state: "state".to_owned(),
        redirect_uri: "https://gateway.test/.portcullis/login/id/callback".to_owned(),
        silent: false,
    };
    let departure = login.begin(&anybody, &flow).await.result.unwrap();
    let parameter = |name: &str| {
        let query = departure.location.split_once('?').unwrap().1;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.to_owned())
    };
    *provider.nonce.lock().unwrap() = parameter("nonce").unwrap();
    let callback = |code: &str| {
        vec![
            ("code".to_owned(), code.to_owned()),
            ("iss".to_owned(), ISSUER.to_owned()),
        ]
    };
    let arrival = login.finish(&anybody, &flow, &departure.memo, callback("c1")).await;
    let arrival = arrival.result.unwrap();
    assert_eq!(
        (arrival.identity().name(), arrival.identity().groups().len()),
        ("alice", 200)
    );
    assert_eq!(
        Vec::from_iter(arrival.handles().iter().map(|handle| handle.as_str())),
        ["sub:alice", "sid:s1"]
    );
    // The key of the client has signed, and it never was in the sandbox.
    let form = provider.forms.lock().unwrap().pop().unwrap();
    let assertion = form
        .split('&')
        .find_map(|pair| pair.strip_prefix("client_assertion="))
        .unwrap();
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, own.public_key().as_ref());
    public.verify(message.as_bytes(), &signature).unwrap();

    // A callback with the nonce of another flow.
    let other = login.begin(&anybody, &flow).await.result.unwrap();
    let replayed = login.finish(&anybody, &flow, &other.memo, callback("c2")).await.result;
    assert!(
        matches!(replayed, Err(LoginError::Unauthenticated(ref why)) if why.contains("nonce")),
        "{replayed:?}"
    );
    assert!(matches!(
        login.renew(&anybody, b"{}").await.result,
        Err(LoginError::NotMine)
    ));
    let end = login
        .end(&anybody, None, "https://gateway.test/out")
        .await
        .result
        .unwrap();
    assert_eq!(
        end.as_deref(),
        Some("https://id.example/out?client_id=us&post_logout_redirect_uri=https%3A%2F%2Fgateway.test%2Fout")
    );
    let claims = json!({
        "iss": ISSUER, "aud": "us", "iat": now(), "exp": now() + 60, "jti": "j", "sid": "s1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let notice = vec![("logout_token".to_owned(), provider.token("logout+jwt", &claims))];
    let ended = login.notice(&anybody, notice).await.result.unwrap();
    assert_eq!(Vec::from_iter(ended.iter().map(|handle| handle.as_str())), ["sid:s1"]);
}
