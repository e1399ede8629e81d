//! The authentications that are measured: Basic credentials with a shared password, and an RS256 token. The key and the
//! token are generated once for each run.

use std::sync::LazyLock;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_plugin_jwt::Jwt;
use portcullis_plugin_simple::Simple;
use portcullis_sdk::Authenticator;
use portcullis_sdk::Request;
use portcullis_sdk::testing::RequestBuilder;
use serde_json::Value;
use serde_json::json;

/// One kind of authentication.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Basic,
    Rs256,
}

/// The key pair of the run.
pub static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static TOKEN: LazyLock<String> = LazyLock::new(token);

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.plugin())
    }
}

impl Work {
    pub fn plugin(self) -> &'static str {
        match self {
            Self::Basic => "simple",
            Self::Rs256 => "jwt",
        }
    }

    pub fn settings(self) -> Value {
        match self {
            Self::Basic => json!({"password": "secret"}),
            Self::Rs256 => {
                json!({"issuers": [{"issuer": "https://idp.example", "audiences": ["bench"], "jwks": jwks()}]})
            }
        }
    }

    pub fn authorization(self) -> String {
        match self {
            Self::Basic => format!("Basic {}", BASE64_STANDARD.encode("alice:secret")),
            Self::Rs256 => format!("Bearer {}", *TOKEN),
        }
    }

    pub fn sdk_request(self) -> Request {
        RequestBuilder::get("/")
            .header("authorization", self.authorization())
            .build()
    }

    pub fn natively(self, request: &Request) {
        match self {
            Self::Basic => admit::<Simple>(self.settings(), request),
            Self::Rs256 => admit::<Jwt>(self.settings(), request),
        }
    }
}

fn admit<A: Authenticator>(settings: Value, request: &Request) {
    let settings = serde_json::from_value(settings).unwrap();
    let authenticator = A::new(settings).unwrap();
    authenticator.authenticate(request).expect("not authenticated");
}

fn jwks() -> Value {
    let key = KEY.public_key();
    let component = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let n = component(key.modulus().big_endian_without_leading_zero());
    let e = component(key.exponent().big_endian_without_leading_zero());
    json!({"keys": [{"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig", "n": n, "e": e}]})
}

fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": "k"}));
    let claims = json!({"iss": "https://idp.example", "aud": "bench", "sub": "alice", "iat": now, "exp": now + 3600});
    let message = format!("{header}.{}", part(claims));
    let mut signature = vec![0; KEY.public_modulus_len()];
    KEY.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The public key as DER, for a host that needs no JWK.
pub fn public_key() -> Vec<u8> {
    KEY.public_key().as_der().unwrap().as_ref().to_vec()
}
