//! What Meizu wants to be shown: the call's own fields, signed with MD5.

use carillon_actors::channel::{Invalid, Setup};
use md5::{Digest as _, Md5};
use serde_json::Value;

use crate::vendors::given;

pub(super) struct Credential {
    app_id: String,
    secret: String,
}

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        // The console shows a number, and who writes JSON writes one.
        let app_id = match &setup.credential["app_id"] {
            Value::Number(number) => number.to_string(),
            _ => given::text(setup, "credential", "app_id")?.to_owned(),
        };
        let secret = given::text(setup, "credential", "app_secret")?.to_owned();
        Ok(Self { app_id, secret })
    }

    /// The form of a call: the fields by name, each as `name=value` and nothing between, then the
    /// secret; signed as they are, before they are encoded.
    pub(super) fn form(&self, push_ids: &str, message: &str) -> String {
        let fields = [("appId", &*self.app_id), ("messageJson", message), ("pushIds", push_ids)];
        debug_assert!(fields.is_sorted_by_key(|(name, _)| *name));
        let mut hash = Md5::new();
        for (name, value) in fields {
            hash.update(format!("{name}={value}"));
        }
        hash.update(&self.secret);
        let sign = hex::encode(hash.finalize());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields).append_pair("sign", &sign).finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    pub(in crate::vendors::meizu) fn setup() -> Setup {
        Setup {
            credential: json!({"app_id": 100_999, "app_secret": "s3cr3t"}),
            settings: Value::Null,
            hosts: BTreeMap::new(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: None,
        }
    }

    #[test]
    fn the_sign_is_over_the_fields_as_they_are() {
        let form = Credential::read(&setup()).unwrap().form("p1,p2", r#"{"a":"b c"}"#);
        let fields: BTreeMap<_, _> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let text = r#"appId=100999messageJson={"a":"b c"}pushIds=p1,p2s3cr3t"#;
        assert_eq!(fields["sign"], hex::encode(Md5::digest(text)));
        assert_eq!((&*fields["appId"], &*fields["pushIds"]), ("100999", "p1,p2"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (credential, pointer) in [
            (json!({"app_secret": "s"}), "/credential/app_id"),
            (json!({"app_id": "1"}), "/credential/app_secret"),
        ] {
            let invalid = Credential::read(&Setup { credential, ..setup() }).err().unwrap();
            assert_eq!(invalid.pointer, pointer);
        }
    }
}
