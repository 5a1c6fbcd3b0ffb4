//! ID tokens of OpenID Connect: who signed one, for whom, and until when. Everything that a token says is believed only after that.
//! <https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>
//!
//! The crate `openidconnect` brings RSA, P-256, P-384 and Ed25519 of its own into the tree, the first of them with an advisory that has no fix
//! (RUSTSEC-2023-0071). `ring`, which is TLS here already, checks the same signatures, so what is left is the list of rules below.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Clocks may differ by so much.
const LEEWAY: TimeDelta = TimeDelta::minutes(1);

/// A public key of the issuer, as its JWK Set has it. <https://www.rfc-editor.org/rfc/rfc7517>
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of an issuer. What is no key of a kind that is known here is left out.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Value>,
}

impl Keys {
    fn known(&self) -> impl Iterator<Item = Key> + '_ {
        self.keys.iter().filter_map(|key| Key::deserialize(key).ok())
    }

    /// Whether there is a key of this id; of no id, any.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        self.known().any(|key| id.is_none() || key.kid.as_deref() == id)
    }
}

/// What a token has to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// Why a token is none of ours. Nothing of it is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is no signed token.
    #[error("it is no signed token")]
    Form,
    /// No key of the issuer signed it.
    #[error("no key of the issuer signed it")]
    Signature,
    /// Another issuer made it.
    #[error("another issuer made it")]
    Issuer,
    /// It is for another client.
    #[error("it is for another client")]
    Audience,
    /// It has ended, or does not begin yet.
    #[error("it has ended, or does not begin yet")]
    Time,
    /// It belongs to another sign-in.
    #[error("it belongs to another sign-in")]
    Nonce,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood, and none is. <https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11>
    crit: Option<Value>,
}

/// The parts of a token that is believed in nothing yet.
pub(super) struct Unverified<'a> {
    header: Header,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, InvalidToken> {
        let (signed, signature) = token.rsplit_once('.').ok_or(InvalidToken::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(InvalidToken::Form)?;
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| InvalidToken::Form)?;
        if header.crit.is_some() {
            return Err(InvalidToken::Form);
        }
        Ok(Self { header, signed, payload, signature: decoded(signature)? })
    }

    /// The id of the key that is said to have signed it.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Its claims, as API Gateway hands those of a token over: each a text, a list in brackets.
    pub(super) fn verify(&self, keys: &Keys, expected: Expected<'_>) -> Result<HashMap<String, String>, InvalidToken> {
        let mut of_id = keys.known().filter(|key| self.header.kid.is_none() || key.kid == self.header.kid);
        if !of_id.any(|key| key.signed(&self.header.alg, self.signed.as_bytes(), &self.signature)) {
            return Err(InvalidToken::Signature);
        }
        let claims: Map<String, Value> =
            serde_json::from_slice(&decoded(self.payload)?).map_err(|_| InvalidToken::Form)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(expected.issuer) {
            return Err(InvalidToken::Issuer);
        }
        let audiences: Vec<&str> = match claims.get("aud") {
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            one => one.and_then(Value::as_str).into_iter().collect(),
        };
        // A token for several is for who is named as its authorized party.
        let party = text("azp").or(if audiences.len() == 1 { Some(expected.client_id) } else { None });
        if !audiences.contains(&expected.client_id) || party != Some(expected.client_id) {
            return Err(InvalidToken::Audience);
        }
        let instant = |name: &str| {
            let seconds = claims.get(name).and_then(|it| it.as_i64().or_else(|| Some(it.as_f64()?.floor() as i64)));
            seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        };
        let begun = |at: DateTime<Utc>| at <= expected.now + LEEWAY;
        let in_time = instant("exp").is_some_and(|at| at > expected.now - LEEWAY)
            && instant("iat").is_some_and(begun)
            && (!claims.contains_key("nbf") || instant("nbf").is_some_and(begun));
        if !in_time {
            return Err(InvalidToken::Time);
        }
        if text("nonce") != Some(expected.nonce) {
            return Err(InvalidToken::Nonce);
        }
        Ok(claims.iter().filter_map(|(name, value)| Some((name.clone(), handed_over(value)?))).collect())
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, InvalidToken> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken::Form)
}

/// A claim as API Gateway writes it, so that both give the same rights for the same token.
fn handed_over(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Array(many) => {
            let many: Vec<String> = many.iter().filter_map(handed_over).collect();
            Some(format!("[{}]", many.join(" ")))
        }
        Value::Null | Value::Object(_) => None,
    }
}

impl Key {
    /// Whether this key signed a message by this algorithm. A key that is for something else, and an algorithm that needs no key of the issuer, did not.
    fn signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let is_for_signing = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        if !is_for_signing || self.alg.as_deref().is_some_and(|own| own != algorithm) {
            return false;
        }
        match (self.kty.as_str(), algorithm) {
            ("RSA", "RS256") => self.rsa(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            ("RSA", "RS384") => self.rsa(&RSA_PKCS1_2048_8192_SHA384, message, signature),
            ("RSA", "RS512") => self.rsa(&RSA_PKCS1_2048_8192_SHA512, message, signature),
            ("RSA", "PS256") => self.rsa(&RSA_PSS_2048_8192_SHA256, message, signature),
            ("EC", "ES256") => self.curve("P-256", &ECDSA_P256_SHA256_FIXED, message, signature),
            ("EC", "ES384") => self.curve("P-384", &ECDSA_P384_SHA384_FIXED, message, signature),
            ("OKP", "EdDSA") => self.curve("Ed25519", &ED25519, message, signature),
            _ => false,
        }
    }

    fn rsa(&self, parameters: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
        let of = |part: &Option<String>| part.as_deref().and_then(|part| decoded(part).ok());
        let Some((n, e)) = of(&self.n).zip(of(&self.e)) else { return false };
        RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
    }

    fn curve(
        &self,
        name: &str,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let of = |part: &Option<String>| part.as_deref().and_then(|part| decoded(part).ok());
        let (Some(x), true) = (of(&self.x), self.crv.as_deref() == Some(name)) else { return false };
        let point = match of(&self.y) {
            // SEC 1, uncompressed.
            Some(y) => [&[4], x.as_slice(), y.as_slice()].concat(),
            None => x,
        };
        UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
    use serde_json::json;

    const EXPECTED: Expected<'_> =
        Expected { issuer: "https://issuer.example", client_id: "console", nonce: "n", now: DateTime::UNIX_EPOCH };

    fn expected() -> Expected<'static> {
        Expected { now: parse("2026-03-22T12:00:00Z").unwrap(), ..EXPECTED }
    }

    fn encoded(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    struct Issuer {
        pair: EcdsaKeyPair,
        random: SystemRandom,
    }

    impl Issuer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
            Self { pair, random }
        }

        fn keys(&self, change: Value) -> Keys {
            let point = self.pair.public_key().as_ref();
            let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "1", "x": encoded(&point[1..33]),
                "y": encoded(&point[33..])});
            key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            // An encryption key and a kind that nobody knows yet stand beside it.
            Keys { keys: vec![json!({"kty": "PQC", "kid": "0"}), json!("?"), key] }
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
            let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
            format!("{signed}.{}", encoded(signature))
        }
    }

    fn claims() -> Value {
        let now = expected().now.timestamp();
        json!({"iss": "https://issuer.example", "aud": "console", "sub": "u", "nonce": "n", "iat": now,
            "exp": now + 300, "role": ["access-reviewer", "staff"], "email_verified": true, "address": {"a": 1}})
    }

    fn verified(token: &str, keys: &Keys) -> Result<HashMap<String, String>, InvalidToken> {
        Unverified::parse(token)?.verify(keys, expected())
    }

    #[test]
    fn a_good_token_has_the_claims_that_api_gateway_would_hand_over() {
        let issuer = Issuer::new();
        let header = json!({"alg": "ES256", "kid": "1"});
        let found = verified(&issuer.token(&header, &claims()), &issuer.keys(json!({}))).unwrap();
        assert_eq!(found["role"], "[access-reviewer staff]");
        assert_eq!((found["email_verified"].as_str(), found.get("address")), ("true", None));
        let unnamed = issuer.token(&json!({"alg": "ES256"}), &claims());
        assert!(verified(&unnamed, &issuer.keys(json!({}))).is_ok());
    }

    #[test]
    fn a_token_of_rsa_is_verified() {
        let generated = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let pair = RsaKeyPair::from_pkcs8(&generated.serialize_der()).unwrap();
        let public: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
        let key = json!({"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": encoded(public.n), "e": encoded(public.e)});
        let signed =
            format!("{}.{}", encoded(json!({"alg": "RS256", "kid": "r"}).to_string()), encoded(claims().to_string()));
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        let keys = Keys { keys: vec![key] };
        assert!(verified(&format!("{signed}.{}", encoded(&signature)), &keys).is_ok());
        signature[9] ^= 1;
        let damaged = format!("{signed}.{}", encoded(&signature));
        assert_eq!(verified(&damaged, &keys).unwrap_err(), InvalidToken::Signature);
    }

    #[test]
    fn what_no_key_of_the_issuer_signed_is_refused() {
        let (issuer, other) = (Issuer::new(), Issuer::new());
        let keys = issuer.keys(json!({}));
        let header = json!({"alg": "ES256", "kid": "1"});
        let good = issuer.token(&header, &claims());
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let unsigned = format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(claims().to_string()));
        let mut more = claims();
        more["role"] = json!("admin");
        let exchanged = format!("{}.{}.{signature}", encoded(header.to_string()), encoded(more.to_string()));
        for (token, why) in [
            (other.token(&header, &claims()), InvalidToken::Signature),
            (issuer.token(&json!({"alg": "ES256", "kid": "2"}), &claims()), InvalidToken::Signature),
            (issuer.token(&json!({"alg": "HS256", "kid": "1"}), &claims()), InvalidToken::Signature),
            (issuer.token(&json!({"alg": "RS256", "kid": "1"}), &claims()), InvalidToken::Signature),
            (
                issuer.token(&json!({"alg": "ES256", "kid": "1", "crit": ["b64"], "b64": false}), &claims()),
                InvalidToken::Form,
            ),
            (unsigned, InvalidToken::Signature),
            (exchanged, InvalidToken::Signature),
            (signed.to_owned(), InvalidToken::Form),
            ("a.b".to_owned(), InvalidToken::Form),
            (String::new(), InvalidToken::Form),
        ] {
            assert_eq!(verified(&token, &keys).unwrap_err(), why, "{token}");
        }
        for change in [json!({"use": "enc"}), json!({"alg": "ES384"}), json!({"crv": "P-384"}), json!({"x": "?"})] {
            assert_eq!(verified(&good, &issuer.keys(change.clone())).unwrap_err(), InvalidToken::Signature, "{change}");
        }
    }

    #[test]
    fn a_token_is_for_this_client_this_sign_in_and_this_time() {
        let issuer = Issuer::new();
        let now = expected().now.timestamp();
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            let token = issuer.token(&json!({"alg": "ES256", "kid": "1"}), &claims);
            verified(&token, &issuer.keys(json!({}))).err()
        };
        for (name, value, why) in [
            ("iss", json!("https://issuer.example/"), Some(InvalidToken::Issuer)),
            ("iss", Value::Null, Some(InvalidToken::Issuer)),
            ("aud", json!("api"), Some(InvalidToken::Audience)),
            ("aud", json!(["console", "api"]), Some(InvalidToken::Audience)),
            ("aud", json!(["console"]), None),
            ("azp", json!("api"), Some(InvalidToken::Audience)),
            ("azp", json!("console"), None),
            ("exp", json!(now - 60), Some(InvalidToken::Time)),
            ("exp", json!(now - 59), None),
            ("exp", json!("soon"), Some(InvalidToken::Time)),
            ("exp", Value::Null, Some(InvalidToken::Time)),
            ("iat", json!(now + 61), Some(InvalidToken::Time)),
            ("iat", Value::Null, Some(InvalidToken::Time)),
            ("nbf", json!(now + 61), Some(InvalidToken::Time)),
            ("nbf", json!("now"), Some(InvalidToken::Time)),
            ("nbf", json!(now as f64 + 0.5), None),
            ("nonce", json!("m"), Some(InvalidToken::Nonce)),
            ("nonce", Value::Null, Some(InvalidToken::Nonce)),
        ] {
            assert_eq!(with(name, value.clone()), why, "{name} {value}");
        }
    }
}
