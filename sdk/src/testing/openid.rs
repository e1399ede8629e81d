//! The part of the fake provider that is OpenID Connect: metadata, keys, an `id_token`, userinfo and pushed requests. A test changes
//! what it says.

use std::collections::BTreeMap;
use std::rc::Rc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use super::FakeHost;
use super::FakeProvider;
use super::SentRequest;
use super::provider::Asked;
use super::provider::State;
use crate::Response;
use crate::time;

/// What a provider of OpenID Connect says.
#[derive(Debug)]
pub(super) struct OpenId {
    metadata_url: String,
    metadata: Map<String, Value>,
    key: EcdsaKeyPair,
    key_id: String,
    claims: Map<String, Value>,
    userinfo: Map<String, Value>,
    answer: Map<String, Value>,
}

impl FakeProvider {
    /// A provider of OpenID Connect with this issuer, whose user is called `alice`. It has all endpoints, names itself in its
    /// answers (RFC 9207), and gives refresh tokens, each of which is valid once. Needs the feature `testing`.
    ///
    /// # Panics
    ///
    /// Panics if no key can be made.
    pub fn openid(host: &FakeHost, issuer: &str) -> Self {
        let base = issuer.trim_end_matches('/');
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/jwks"),
            "userinfo_endpoint": format!("{base}/userinfo"),
            "end_session_endpoint": format!("{base}/logout"),
            "pushed_authorization_request_endpoint": format!("{base}/par"),
            "authorization_response_iss_parameter_supported": true,
        });
        let openid = OpenId {
            metadata_url: format!("{base}/.well-known/openid-configuration"),
            metadata: object(metadata),
            key: key(),
            key_id: "1".to_owned(),
            claims: Map::new(),
            userinfo: object(json!({ "sub": "alice" })),
            answer: Map::new(),
        };
        let this = Self::of(State {
            openid: Some(openid),
            ..State::default()
        });
        let state = Rc::clone(&this.0);
        host.add_server(move |request| state.borrow_mut().serve(request).map(Ok));
        this
    }

    /// Changes members of the metadata; `null` removes one.
    pub fn change_metadata(&self, changes: Value) {
        self.change(|openid| &mut openid.metadata, changes);
    }

    /// Publishes the metadata at another URL.
    pub fn publish_metadata_at(&self, url: &str) {
        self.with(|openid| url.clone_into(&mut openid.metadata_url));
    }

    /// Changes claims of each further `id_token`; `null` removes one, even one that is there by default.
    pub fn change_claims(&self, changes: Value) {
        self.change(|openid| &mut openid.claims, changes);
    }

    /// Changes what userinfo says; `null` removes a claim.
    pub fn change_userinfo(&self, changes: Value) {
        self.change(|openid| &mut openid.userinfo, changes);
    }

    /// Changes members of each further answer of the token endpoint; `null` removes one.
    pub fn change_answer(&self, changes: Value) {
        self.change(|openid| &mut openid.answer, changes);
    }

    /// Signs with another key from now on, and publishes that alone.
    pub fn rotate_key(&self) {
        self.with(|openid| {
            openid.key = key();
            openid.key_id.push('1');
        });
    }

    /// A token with these claims, signed by the provider. Members of the `header` are added to its own.
    pub fn token(&self, header: Value, claims: &Value) -> String {
        let mut token = String::new();
        self.with(|openid| token = openid.sign(header, claims));
        token
    }

    fn change(&self, part: impl FnOnce(&mut OpenId) -> &mut Map<String, Value>, changes: Value) {
        self.with(|openid| part(openid).extend(object(changes)));
    }

    fn with(&self, change: impl FnOnce(&mut OpenId)) {
        if let Some(openid) = &mut self.0.borrow_mut().openid {
            change(openid);
        }
    }
}

impl State {
    /// The answer at one of the provider's URLs. `None` if it isn't one.
    fn serve(&mut self, request: &SentRequest) -> Option<Response> {
        let openid = self.openid.as_ref()?;
        let is = |name: &str| openid.metadata.get(name).and_then(Value::as_str) == Some(request.url.as_str());
        let json = |value: &Value| Response::new(200).with_body(value.to_string());
        if request.url == openid.metadata_url {
            return Some(json(&Value::Object(without_nulls(&openid.metadata))));
        }
        if is("jwks_uri") {
            return Some(json(&json!({ "keys": [openid.jwk()] })));
        }
        if is("userinfo_endpoint") {
            let is_known = request.header("authorization").as_deref() == Some("Bearer at");
            return Some(match is_known {
                true => json(&Value::Object(without_nulls(&openid.userinfo))),
                false => Response::new(401),
            });
        }
        if is("pushed_authorization_request_endpoint") {
            let asked = form_urlencoded::parse(&request.body).into_owned().collect();
            return Some(Response::new(201).with_body(self.push(asked).to_string()));
        }
        is("token_endpoint").then(|| self.exchange(&request.body))
    }

    fn push(&mut self, asked: Asked) -> Value {
        self.made += 1;
        let uri = format!("urn:pushed:{}", self.made);
        self.pushed.insert(uri.clone(), asked);
        json!({ "request_uri": uri, "expires_in": 60 })
    }
}

impl OpenId {
    /// The answer of the token endpoint for this request. A refresh has no nonce.
    pub(super) fn tokens(&self, client: &str, nonce: Option<&String>, refresh_token: &str) -> String {
        let now = time::unix_seconds();
        let mut claims = object(json!({
            "iss": self.metadata.get("issuer"),
            "sub": "alice",
            "aud": client,
            "iat": now,
            "exp": now + 300,
            "at_hash": BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest("at").get(..16).unwrap_or_default()),
        }));
        claims.extend(nonce.map(|nonce| ("nonce".to_owned(), nonce.clone().into())));
        claims.extend(self.claims.clone());
        let id_token = self.sign(json!({}), &Value::Object(without_nulls(&claims)));
        let mut answer = object(json!({
            "access_token": "at",
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": id_token,
            "refresh_token": refresh_token,
        }));
        answer.extend(self.answer.clone());
        Value::Object(without_nulls(&answer)).to_string()
    }

    /// Who the provider is, for its answers.
    pub(super) fn names_itself(&self) -> Option<&str> {
        let names = self.metadata.get("authorization_response_iss_parameter_supported");
        let issuer = self.metadata.get("issuer").and_then(Value::as_str);
        issuer.filter(|_| names == Some(&Value::Bool(true)))
    }

    fn sign(&self, header: Value, claims: &Value) -> String {
        let mut whole = object(json!({ "alg": "ES256", "kid": self.key_id }));
        whole.extend(object(header));
        let [header, claims] =
            [&Value::Object(whole), claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes());
        let signature = signature.map(|signature| BASE64_URL_SAFE_NO_PAD.encode(signature));
        format!("{message}.{}", signature.unwrap_or_default())
    }

    fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point.split_at(33);
        let [x, y] = [x.get(1..).unwrap_or_default(), y].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "kid": self.key_id, "use": "sig", "x": x, "y": y })
    }
}

#[expect(clippy::expect_used, reason = "the test can't be run")]
fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the machine has random numbers")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn without_nulls(object: &Map<String, Value>) -> Map<String, Value> {
    let kept = object.iter().filter(|(_, value)| !value.is_null());
    BTreeMap::from_iter(kept.map(|(name, value)| (name.clone(), value.clone())))
        .into_iter()
        .collect()
}
