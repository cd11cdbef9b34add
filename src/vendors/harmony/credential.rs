//! What Push Kit v3 wants to be shown: a statement that the service account signs. Nothing is asked
//! for it anywhere, and an access token of OAuth's is refused.

use carillon_actors::channel::{Access, Class, Invalid, Refused, Scope, Setup};
use carillon_sdk::{Timestamp, Ttl};
use serde_json::json;

use crate::vendors::given;
use crate::vendors::jws::Signer;

const SEND: &str = "https://push-api.cloud.huawei.com";
/// To whom the statement is addressed, whatever the file's `token_uri` says: nothing is asked there.
const AUDIENCE: &str = "https://oauth-login.cloud.huawei.com/oauth2/v3/token";

/// A day is the longest that is taken (80300036).
const LIFE: Ttl = Ttl::from_secs(3_600);
const RENEW_BEFORE: Ttl = Ttl::from_secs(300);

pub(super) struct Credential {
    pub(super) send_url: String,
    signer: Signer,
    key_id: String,
    account: String,
    offset_ms: i64,
}

/// What is no secret.
#[derive(Default)]
pub(super) struct Settings {
    /// Which of the console's addresses gets the receipts.
    pub(super) receipt_id: Option<String>,
    /// Of a message that has none; every one needs one, and but for MARKETING each needs a right.
    pub(super) category: Option<String>,
}

impl Credential {
    /// The service account's file as Huawei gives it.
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let project = given::text(setup, "credential", "project_id")?;
        if !project.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(Invalid::new("/credential/project_id", "letters and digits"));
        }
        let host = given::host(setup, "send", SEND)?;
        let key = given::text(setup, "credential", "private_key")?;
        Ok(Self {
            send_url: format!("{host}/v3/{project}/messages:send"),
            signer: Signer::rsa_pss(key, "/credential/private_key")?,
            key_id: given::text(setup, "credential", "key_id")?.to_owned(),
            account: given::text(setup, "credential", "sub_account")?.to_owned(),
            offset_ms: setup.clock_offset_ms,
        })
    }

    pub(super) fn access(&self, now: Timestamp) -> Result<Access, Refused> {
        let issued_s = given::theirs(now, self.offset_ms).as_secs();
        let header = json!({"kid": self.key_id, "typ": "JWT", "alg": "PS256"});
        let claims = json!({"iss": self.account, "aud": AUDIENCE, "iat": issued_s,
            "exp": issued_s + LIFE.as_millis() / 1_000});
        let token = self.signer.sign(&header, &claims).map_err(|unsigned| {
            Refused::new(Class::Config, Scope::App, "unsigned").because(unsigned.to_string())
        })?;
        let mut access = Access::new(token);
        access.ends_at = Some(now + LIFE);
        access.renew_at = Some(now + LIFE - RENEW_BEFORE);
        Ok(access)
    }
}

impl Settings {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let text = |name| given::maybe(setup, "settings", name).map(|text| text.map(str::to_owned));
        Ok(Self { receipt_id: text("receipt_id")?, category: text("category")? })
    }
}
