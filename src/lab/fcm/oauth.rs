//! Google's token endpoint: an access token for an assertion that the service account signed.

use std::collections::HashMap;
use std::sync::Arc;

use carillon_sdk::{Timestamp, Ttl};
use parking_lot::Mutex;
use ring::signature::RSA_PKCS1_2048_8192_SHA256;
use serde_json::{Value, json};

use super::super::jwt::Jwt;
use super::super::keys::RsaKey;
use super::super::{Asked, Condition, Reply, World};
use super::answers::No;
use super::{PROJECT_ID, VENDOR};

pub(super) const PATH: &str = "/token";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"];
const CLIENT_EMAIL: &str = "push@example-project.iam.gserviceaccount.com";
const KEY_ID: &str = "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c";
/// Of an assertion: from `iat` to `exp`.
const ASSERTION_S_MAX: u64 = 3_600;
/// How far the clocks may differ.
const SKEW_S: u64 = 300;
const TOKEN_S: u64 = 3_599;

pub(super) struct OAuth {
    key: Arc<RsaKey>,
    given: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    /// Access tokens with their end.
    tokens: HashMap<String, Timestamp>,
    is_revoking: bool,
}

impl OAuth {
    pub(super) fn new(key: Arc<RsaKey>) -> Self {
        Self { key, given: Mutex::default() }
    }

    /// The file that the console would give out.
    pub(super) fn credential(&self) -> Value {
        json!({
            "type": "service_account",
            "project_id": PROJECT_ID,
            "private_key_id": KEY_ID,
            "private_key": self.key.pem,
            "client_email": CLIENT_EMAIL,
            "client_id": "100000000000000000001",
            "token_uri": TOKEN_URI,
        })
    }

    pub(super) fn give(&self, world: &World, asked: &Asked) -> Reply {
        match self.assertion(world, asked) {
            Ok(()) => {
                let token = format!("ya29.{}", uuid::Uuid::new_v4().simple());
                let now = world.now(VENDOR);
                let mut given = self.given.lock();
                given.watch(world.condition(VENDOR));
                given.tokens.retain(|_, end| *end > now);
                given.tokens.insert(token.clone(), now + Ttl::from_secs(TOKEN_S));
                let body = json!({"access_token": token, "expires_in": TOKEN_S, "token_type": "Bearer"});
                Reply::json(200, &body)
            }
            Err((status, error, why)) => {
                Reply::json(status, &json!({"error": error, "error_description": why}))
            }
        }
    }

    fn assertion(&self, world: &World, asked: &Asked) -> Result<(), (u16, &'static str, &'static str)> {
        let grant = |why| (400, "invalid_grant", why);
        let form = asked.form();
        let field =
            |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if asked.method != "POST" || field("grant_type") != Some(GRANT) {
            return Err((400, "unsupported_grant_type", "invalid grant_type"));
        }
        if world.condition(VENDOR) == Condition::CredentialRefused {
            return Err((401, "invalid_client", "the service account is disabled"));
        }
        let text = field("assertion").ok_or((400, "invalid_request", "no assertion"))?;
        let jwt = Jwt::read(text, world.is_lenient).ok_or(grant("the assertion is no JWT"))?;
        if jwt.text("iss") != Some(CLIENT_EMAIL) {
            return Err(grant("no such account"));
        }
        let is_signed = jwt.is_of("RS256")
            && jwt.key_id().is_none_or(|id| id == KEY_ID)
            && jwt.is_signed_by(&self.key.public, &RSA_PKCS1_2048_8192_SHA256);
        if !is_signed {
            return Err(grant("invalid JWT signature"));
        }
        let here = asked.header("host").or_else(|| asked.header(":authority"));
        let is_here = |aud: &str| here.is_some_and(|here| aud == format!("https://{here}{PATH}"));
        if !jwt.text("aud").is_some_and(|aud| aud == TOKEN_URI || is_here(aud)) {
            return Err(grant("invalid JWT: wrong aud"));
        }
        let scope = jwt.text("scope").unwrap_or_default();
        if !scope.split(' ').any(|scope| SCOPES.contains(&scope)) {
            return Err((400, "invalid_scope", "the scope is empty or unknown"));
        }
        let now_s = world.now(VENDOR).as_secs();
        let (Some(iat_s), Some(exp_s)) = (jwt.secs("iat"), jwt.secs("exp")) else {
            return Err(grant("invalid JWT: iat and exp are seconds"));
        };
        let is_short = exp_s > iat_s && exp_s - iat_s <= ASSERTION_S_MAX;
        if !is_short || exp_s + SKEW_S < now_s || iat_s > now_s + SKEW_S {
            return Err(grant("invalid JWT: must be short-lived and of now; check iat and exp"));
        }
        Ok(())
    }

    pub(super) fn admit(&self, world: &World, asked: &Asked) -> Result<(), No> {
        let mut given = self.given.lock();
        given.watch(world.condition(VENDOR));
        let token = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let end = token.and_then(|token| given.tokens.get(token));
        if end.is_some_and(|end| world.now(VENDOR) < *end) {
            return Ok(());
        }
        Err(No::plain(401, "UNAUTHENTICATED", "expected OAuth 2 access token"))
    }
}

impl Given {
    /// When all that was given is to be worth nothing.
    fn watch(&mut self, condition: Condition) {
        let is_revoking = condition == Condition::TokensRevoked;
        if is_revoking && !self.is_revoking {
            self.tokens.clear();
        }
        self.is_revoking = is_revoking;
    }
}
