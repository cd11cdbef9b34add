//! What Huawei wants to be shown: an access token for the app's id and secret.

use carillon_actors::channel::{Invalid, Setup};

use crate::vendors::given;
use crate::vendors::oauth::Client;

const SEND: &str = "https://push-api.cloud.huawei.com";
const TOKENS: &str = "https://oauth-login.cloud.huawei.com";

pub(super) struct Credential {
    pub(super) client: Client,
    pub(super) send_url: String,
}

/// What is no secret.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) package: Option<String>,
    /// Which of the console's addresses gets the receipts.
    pub(super) receipt_id: Option<String>,
    /// The activity whose icon wears the badge.
    pub(super) badge_class: Option<String>,
}

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let tokens = given::host(setup, "auth", TOKENS)?;
        let client = Client::read(setup, format!("{tokens}/oauth2/v3/token"))?;
        let host = given::host(setup, "send", SEND)?;
        // v1 names the app, v2 the project.
        let (version, name, pointer) = match given::maybe(setup, "settings", "api_version")? {
            None | Some("v1") => ("v1", client.id(), "/credential/client_id"),
            Some("v2") => ("v2", given::text(setup, "settings", "project_id")?, "/settings/project_id"),
            Some(_) => return Err(Invalid::new("/settings/api_version", "v1 or v2")),
        };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(Invalid::new(pointer, "letters and digits"));
        }
        let send_url = format!("{host}/{version}/{name}/messages:send");
        Ok(Self { client, send_url })
    }
}

impl Settings {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let text = |name| given::maybe(setup, "settings", name).map(|text| text.map(str::to_owned));
        Ok(Self {
            package: text("package")?,
            receipt_id: text("receipt_id")?,
            badge_class: text("badge_class")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn url(settings: Value) -> Result<String, String> {
        let setup = Setup {
            credential: json!({"client_id": "100", "client_secret": "planted-secret"}),
            settings,
            hosts: std::collections::BTreeMap::default(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: None,
        };
        Credential::read(&setup).map(|credential| credential.send_url).map_err(|invalid| invalid.pointer)
    }

    #[test]
    fn v1_names_the_app_and_v2_the_project() {
        let send = |rest: &str| Ok(format!("https://push-api.cloud.huawei.com/{rest}/messages:send"));
        assert_eq!(url(json!({})), send("v1/100"));
        assert_eq!(url(json!({"api_version": "v2", "project_id": "7"})), send("v2/7"));
        assert_eq!(url(json!({"api_version": "v2"})), Err("/settings/project_id".to_owned()));
        assert_eq!(url(json!({"api_version": "v3"})), Err("/settings/api_version".to_owned()));
        let odd = json!({"api_version": "v2", "project_id": "../x"});
        assert_eq!(url(odd), Err("/settings/project_id".to_owned()));
    }
}
