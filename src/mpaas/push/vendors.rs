//! The contract's names of vendors, and its numbers of theirs, in our words.

use carillon_sdk::vendor::Category;
use serde_json::{Map, Value};

use super::super::form::plain;

/// The contract's numbers of HarmonyOS's categories, from 1: not those of Huawei.
const HARMONYOS: [&str; 13] = [
    "IM",
    "VOIP",
    "SUBSCRIPTION",
    "TRAVEL",
    "HEALTH",
    "WORK",
    "ACCOUNT",
    "EXPRESS",
    "FINANCE",
    "DEVICE_REMINDER",
    "MAIL",
    "CUSTOMER_SERVICE",
    "MARKETING",
];

/// Whose a member is. Apple has no name in the contract: `ios` and ours are taken.
fn vendor(name: &str) -> String {
    match name.trim().to_ascii_lowercase().as_str() {
        "hms" => "huawei".to_owned(),
        "mi" | "miui" => "xiaomi".to_owned(),
        "ios" => "apns".to_owned(),
        own => own.to_owned(),
    }
}

/// The members of such an object, under our names.
pub(super) fn by_vendor(object: Map<String, Value>) -> Map<String, Value> {
    object.into_iter().map(|(name, value)| (vendor(&name), value)).collect()
}

/// `ThirdChannelCategory`: each vendor's own word, as text.
pub(super) fn categories(object: Map<String, Value>) -> Map<String, Value> {
    let word = |(name, value): (String, Value)| {
        let given = plain(&value).trim().to_owned();
        let word = word_of(&name, &given).unwrap_or(given);
        (name, Value::from(word))
    };
    by_vendor(object).into_iter().map(word).collect()
}

/// What a number says. A number of nothing goes as it is: the vendor judges it.
fn word_of(vendor: &str, number: &str) -> Option<String> {
    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
    match vendor {
        "huawei" => Category::ALL.get(at).map(|category| category.as_str().to_ascii_uppercase()),
        "harmonyos" => HARMONYOS.get(at).map(|&word| word.to_owned()),
        // What the contract calls the system's class, of which chats are the first.
        "vivo" if at == 0 => Some("IM".to_owned()),
        _ => None,
    }
}

/// Honor sorts by importance and has no categories: what was given as one is a level.
pub(super) fn honors_level(categories: &Map<String, Value>) -> Option<Value> {
    let word = categories.get("honor")?.as_str()?;
    matches!(word.to_ascii_uppercase().as_str(), "1" | "2" | "LOW" | "NORMAL")
        .then(|| Value::from(word.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Value {
        let Value::Object(object) = value else { panic!("{value}") };
        Value::Object(categories(object.clone()))
    }

    #[test]
    fn each_vendors_numbers_are_its_own() {
        for (given, expected) in [
            (json!({"hms": "8"}), json!({"huawei": "EXPRESS"})),
            (json!({"hms": 11}), json!({"huawei": "SYSTEM_REMINDER"})),
            (json!({"hms": "14"}), json!({"huawei": "MARKETING"})),
            (json!({"hms": "15"}), json!({"huawei": "15"})),
            (json!({"harmonyos": "11"}), json!({"harmonyos": "MAIL"})),
            (json!({"harmonyos": 12}), json!({"harmonyos": "CUSTOMER_SERVICE"})),
            (json!({"harmonyos": "13"}), json!({"harmonyos": "MARKETING"})),
            (json!({"vivo": "1"}), json!({"vivo": "IM"})),
            (json!({"vivo": "ORDER", "oppo": "NEWS"}), json!({"vivo": "ORDER", "oppo": "NEWS"})),
            (json!({"mi": "c1"}), json!({"xiaomi": "c1"})),
            (json!({"fcm": "orders", "hms": "TRAVEL"}), json!({"fcm": "orders", "huawei": "TRAVEL"})),
        ] {
            assert_eq!(of(&given), expected, "{given}");
        }
    }

    #[test]
    fn honors_category_is_how_much_it_may_disturb() {
        let level = |word: &str| honors_level(&Map::from_iter([("honor".to_owned(), json!(word))]));
        assert_eq!(level("1"), Some(json!("1")));
        assert_eq!(level("normal"), Some(json!("NORMAL")));
        assert_eq!(level("IM"), None);
        assert_eq!(honors_level(&Map::new()), None);
    }
}
