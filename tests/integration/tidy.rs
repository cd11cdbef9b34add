//! The habits that a machine can hold us to.

use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every source file of the workspace, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for dir in ["src", "actors", "sdk", "loadtest", "benches", "tests"] {
        walk(&Path::new(ROOT).join(dir), &mut files);
    }
    assert!(files.len() > 40, "the walk found the sources");
    files
}

fn walk(dir: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(dir).expect("a directory of the workspace").flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            files.push((path.strip_prefix(ROOT).expect("within").to_owned(), text));
        }
    }
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn the_code_is_formatted() {
    let checked = Command::new("cargo")
        .args(["fmt", "--all", "--check"])
        .current_dir(ROOT)
        .output()
        .expect("cargo fmt");
    assert!(checked.status.success(), "run `cargo fmt --all`");
}

#[test]
fn files_and_functions_can_be_read_in_one_sitting() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<_> = text.lines().collect();
        if lines.len() > 600 {
            found.push(format!("{}: {} lines", path.display(), lines.len()));
        }
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let head = head.trim_start_matches("const ").trim_start_matches("async ");
            if !head.starts_with("fn ") {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == end).unwrap_or(0);
            if length > 60 {
                found.push(format!("{}:{}: a function of {length} lines", path.display(), start + 1));
            }
        }
    }
    none("longer than one can hold in mind", &found);
}

#[test]
fn no_module_is_a_drawer_for_odds_and_ends() {
    let drawers = ["util", "utils", "common", "helpers", "misc", "handlers"];
    let found: Vec<_> = sources()
        .iter()
        .flat_map(|(path, _)| {
            path.iter().filter_map(|part| part.to_str()).map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|part| drawers.contains(&part.trim_end_matches(".rs")))
        .collect();
    none("modules named for nothing", &found);
}

#[test]
fn tests_wait_for_events_and_none_is_left_out() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let is_test = path.iter().any(|part| part.to_str().is_some_and(|part| part.starts_with("tests")));
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let ignored =
                line.trim_start().starts_with("#[ignore") || line.trim_start().starts_with("#[should_panic");
            let explained = line.contains("//") || at > 0 && lines[at - 1].contains("//");
            let sleeps = is_test && line.contains("sleep(") && !line.contains("\"") && !explained;
            if ignored || sleeps {
                found.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    none("a test left out, or one that sleeps without saying why", &found);
}

#[test]
fn each_layer_knows_only_what_it_may() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let within = |dir: &str| path.starts_with(dir);
        let mut forbid = |word: &str, allowed: bool| {
            if !allowed && text.contains(word) {
                found.push(format!("{} mentions {word}", path.display()));
            }
        };
        if path.ends_with("tidy.rs") {
            continue;
        }
        forbid("sled::", path.ends_with("actors/src/store/sled.rs"));
        forbid("actix_web", within("src") || within("tests"));
        forbid("reqwest", !within("actors"));
        forbid("rustls", !within("actors"));
        forbid("carillon_actors", !(within("actors") || within("sdk") || within("loadtest")));
        forbid(
            "SystemTime::now",
            path.ends_with("actors/src/clock.rs")
                || within("loadtest")
                || within("tests")
                || within("sdk/src/client"),
        );
    }
    none("a layer that knows too much", &found);
}

#[test]
fn one_tls_stack_one_crypto_provider_and_sleds_own_epoch() {
    let lock = std::fs::read_to_string(Path::new(ROOT).join("Cargo.lock")).expect("Cargo.lock is checked in");
    let count = |name: &str| lock.matches(&format!("\nname = \"{name}\"\n")).count();
    for (name, expected) in [
        ("rustls", 1),
        ("rustls-webpki", 1),
        ("ring", 1),
        ("crossbeam-epoch", 1),
        ("h2", 1),
        ("sled", 1),
        ("aws-lc-rs", 0),
        ("aws-lc-sys", 0),
        ("openssl-sys", 0),
        ("native-tls", 0),
        ("rustls-pemfile", 0),
        ("actix-web-actors", 0),
    ] {
        assert_eq!(count(name), expected, "{name} in Cargo.lock");
    }
}
