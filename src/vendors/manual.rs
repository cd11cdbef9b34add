//! docs/vendors.md names all that an app's owner may give: found by reading what adapters read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MANUAL: &str = include_str!("../../docs/vendors.md");

/// Folder and heading.
const VENDORS: [(&str, &str); 10] = [
    ("apns", "APNs"),
    ("fcm", "FCM"),
    ("huawei", "Huawei"),
    ("harmony", "HarmonyOS"),
    ("honor", "Honor"),
    ("xiaomi", "Xiaomi"),
    ("oppo", "OPPO"),
    ("vivo", "vivo"),
    ("meizu", "Meizu"),
    ("webpush", "WebPush"),
];

fn section(heading: &str) -> &'static str {
    let (_, rest) = MANUAL.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Names in quotation marks that follow one of `beginnings`.
fn names_after(text: &str, beginnings: &[&str]) -> BTreeSet<String> {
    let after = beginnings.iter().flat_map(|beginning| text.split(beginning).skip(1));
    after.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn the_manual_names_every_field_of_a_credential_every_setting_and_every_host() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vendors");
    for (folder, heading) in VENDORS {
        let mut files = Vec::new();
        sources(&root.join(folder), &mut files);
        let mut names = BTreeSet::new();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            // What tests give is not what is read.
            let text = text.split("#[cfg(test)]").next().unwrap();
            names.extend(names_after(
                text,
                &[
                    "setup, \"credential\", \"",
                    "setup, \"settings\", \"",
                    "setup.credential[\"",
                    "setup.settings[\"",
                    "credential.get(\"",
                    "settings.get(\"",
                    "host(setup, \"",
                    "words(setup, \"",
                    // Of a credential's part that reads several.
                    ": text(\"",
                ],
            ));
        }
        assert!(!names.is_empty(), "{folder} reads nothing that this test finds");
        let section = section(heading);
        let missing: Vec<_> = names.iter().filter(|name| !section.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "docs/vendors.md, {heading}: {missing:?}");
    }
}

#[test]
fn the_manual_has_every_field_that_a_push_may_say_to_vendors() {
    let options = serde_json::to_value(carillon_actors::channel::Options::default()).unwrap();
    for name in options.as_object().unwrap().keys() {
        assert!(MANUAL.contains(&format!("`{name}`")), "{name}");
    }
}
