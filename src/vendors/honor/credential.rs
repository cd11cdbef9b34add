//! What Honor wants to be shown: an access token for the client's id and secret, which are neither the
//! app's id, under which is sent, nor the secret shown beside that.

use carillon_actors::channel::{Invalid, Setup};

use crate::vendors::given;
use crate::vendors::oauth::Client;

const SEND: &str = "https://push-api.cloud.honor.com";
const TOKENS: &str = "https://iam.developer.honor.com";

pub(super) struct Credential {
    pub(super) client: Client,
    pub(super) send_url: String,
    pub(super) offset_ms: i64,
}

/// What is no secret.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) package: Option<String>,
    /// The activity whose icon wears the badge.
    pub(super) badge_class: Option<String>,
}

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let tokens = given::host(setup, "auth", TOKENS)?;
        let client = Client::read(setup, format!("{tokens}/auth/token"))?;
        let app = given::text(setup, "settings", "app_id")?;
        if !app.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(Invalid::new("/settings/app_id", "letters and digits"));
        }
        let host = given::host(setup, "send", SEND)?;
        let send_url = format!("{host}/api/v1/{app}/sendMessage");
        Ok(Self { client, send_url, offset_ms: setup.clock_offset_ms })
    }
}

impl Settings {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let text = |name| given::maybe(setup, "settings", name).map(|text| text.map(str::to_owned));
        Ok(Self { package: text("package")?, badge_class: text("badge_class")? })
    }
}
