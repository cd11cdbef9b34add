//! The app's secret, which every call shows as it is.

use std::collections::BTreeMap;

use carillon_actors::channel::{Invalid, Setup};

use crate::vendors::{given, shown};

pub(super) struct Credential {
    /// The header's value.
    pub(super) key: String,
    pub(super) send_url: String,
    pub(super) package: String,
    /// Xiaomi's channel, by our category.
    pub(super) channels: BTreeMap<String, String>,
    pub(super) receipts_url: Option<String>,
}

/// By where the devices are: pId=1696.
const REGIONS: [(&str, &str); 5] = [
    ("cn", "https://api.xmpush.xiaomi.com"),
    ("ru", "https://ru-api.xmpush.global.xiaomi.com"),
    ("in", "https://idmb-api.xmpush.global.xiaomi.com"),
    ("eu", "https://fr-api.xmpush.global.xiaomi.com"),
    ("sg", "https://sgp-api.xmpush.global.xiaomi.com"),
];

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let secret = given::text(setup, "credential", "app_secret")?;
        let region = given::maybe(setup, "settings", "region")?.unwrap_or("cn");
        let known = REGIONS.iter().find(|(name, _)| *name == region);
        let (_, host) =
            known.ok_or_else(|| Invalid::new("/settings/region", "one of cn, ru, in, eu and sg"))?;
        Ok(Self {
            key: format!("key={secret}"),
            send_url: format!("{}/v3/message/regid", given::host(setup, "send", host)?),
            package: given::text(setup, "settings", "package")?.to_owned(),
            channels: shown::words(setup, "channels")?,
            receipts_url: setup.receipts_url.clone(),
        })
    }
}
