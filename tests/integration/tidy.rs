//! What a reader expects of the tree, checked by reading it. Formatting is checked by asking
//! rustfmt, as the commit that a reader gets was asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 60;
/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helpers", "misc", "handlers"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the workspace, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for dir in ["src", "actors", "sdk", "loadtest", "tests", "benches"] {
        walk(&root().join(dir), &mut files);
    }
    assert!(files.len() > 50, "the walk found too little to be true");
    files
}

fn walk(dir: &Path, files: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
}

fn expect_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// Lines of `text` that hold one of `words`, as `path:line: text`.
fn hits(path: &Path, text: &str, words: &[&str]) -> Vec<String> {
    let lines = text.lines().enumerate();
    let hit = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    hit.map(|(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim())).collect()
}

#[test]
fn everything_is_formatted() {
    let output =
        Command::new(env!("CARGO")).args(["fmt", "--all", "--check"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "run cargo fmt --all:\n{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let long = sources().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", path.display()))
    });
    expect_none("files longer than 600 lines", &long.collect::<Vec<_>>());
}

#[test]
fn a_function_fits_on_a_screen() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_function = line.trim_start().split("fn ").next().is_some_and(|before| {
                line.contains("fn ")
                    && before.split_whitespace().all(|word| {
                        matches!(word, "pub" | "async" | "const" | "unsafe") || word.starts_with("pub(")
                    })
            });
            // A declaration has no body, and one on the same line needs no measuring.
            if !is_function || line.ends_with([';', '}']) {
                continue;
            }
            // rustfmt closes a function at the indentation it began with.
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == close).map_or(0, |at| at + 1);
            let opens_here = lines[start..].iter().take(length).any(|line| line.ends_with('{'));
            if opens_here && length > FUNCTION_LINES_MAX {
                long.push(format!("{}:{}: {length} lines", path.display(), start + 1));
            }
        }
    }
    expect_none("functions longer than 60 lines", &long);
}

#[test]
fn a_module_is_named_for_what_it_holds() {
    let empty = sources().into_iter().filter_map(|(path, _)| {
        let named = path.with_extension("");
        let mut parts = named.iter().filter_map(|part| part.to_str());
        parts.any(|part| EMPTY_NAMES.contains(&part)).then(|| path.display().to_string())
    });
    expect_none("modules whose name says nothing", &empty.collect::<Vec<_>>());
}

#[test]
fn no_test_is_skipped_or_expects_just_any_panic() {
    let words = [concat!("#[ign", "ore"), concat!("#[should_", "panic]")];
    let found: Vec<_> = sources().iter().flat_map(|(path, text)| hits(path, text, &words)).collect();
    expect_none("tests that cannot fail", &found);
}

#[test]
fn a_test_that_sleeps_says_why() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let is_test_file = path.starts_with("tests")
            || path.ends_with("tests.rs")
            || path.iter().any(|part| part == "tests");
        let (mut before, mut in_tests) = (String::new(), is_test_file);
        for (number, line) in text.lines().enumerate() {
            in_tests |= line.contains("#[cfg(test)]") && !is_test_file;
            let call = concat!("sleep", "(");
            let explained = line.contains("//") || before.trim_start().starts_with("//");
            if in_tests && line.contains(call) && !explained {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
            line.clone_into(&mut before);
        }
    }
    expect_none("sleeps without a reason on the line or the one before", &found);
}

#[test]
fn only_the_stores_adapter_knows_sled() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|(path, _)| {
            !path.starts_with("actors/src/store/sled")
                && path.as_path() != Path::new("actors/src/store/sled.rs")
        })
        .flat_map(|(path, text)| hits(path, text, &[concat!("sled", "::"), concat!("crossbeam_", "epoch")]))
        // Our own module of that name is not the crate.
        .filter(|hit| {
            !hit.contains(concat!("super::sled", "::")) && !hit.contains(concat!("store::sled", "::"))
        })
        .collect();
    expect_none("sled outside its adapter", &found);
}

#[test]
fn the_engine_knows_no_http_and_the_contract_no_actors() {
    let words = [concat!("actix", "_web"), concat!("aw", "c::")];
    let mut found: Vec<_> = sources()
        .iter()
        .filter(|(path, _)| {
            path.starts_with("actors") || path.starts_with("sdk") || path.starts_with("loadtest")
        })
        .flat_map(|(path, text)| hits(path, text, &words))
        .collect();
    found.extend(
        sources()
            .iter()
            .filter(|(path, _)| path.starts_with("sdk") || path.starts_with("loadtest"))
            .flat_map(|(path, text)| {
                hits(path, text, &[concat!("actix", "::"), concat!("carillon_", "actors")])
            }),
    );
    found.extend(
        sources()
            .iter()
            .filter(|(path, _)| path.starts_with("actors"))
            .flat_map(|(path, text)| hits(path, text, &[concat!("req", "west::")])),
    );
    expect_none("an arrow that points up", &found);
}

#[test]
fn only_the_clock_reads_a_clock() {
    let allowed = ["actors/src/clock.rs", "loadtest/src/clock.rs"];
    let found: Vec<_> = sources()
        .iter()
        .filter(|(path, _)| path.starts_with("actors") || path.starts_with("src"))
        .filter(|(path, _)| !allowed.contains(&path.to_str().unwrap()))
        .flat_map(|(path, text)| {
            hits(path, text, &[concat!("SystemTime::", "now"), concat!("time::Instant::", "now")])
        })
        .filter(|hit| !hit.contains("tokio"))
        .collect();
    expect_none("a clock read elsewhere", &found);
}

/// Names and versions of Cargo.lock.
fn locked() -> Vec<(String, String)> {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let text = |package: &toml::Value, field: &str| package[field].as_str().unwrap().to_owned();
    let packages = lock["package"].as_array().unwrap();
    packages.iter().map(|package| (text(package, "name"), text(package, "version"))).collect()
}

#[test]
fn one_tls_and_one_of_what_must_be_shared() {
    let locked = locked();
    for banned in ["openssl-sys", "openssl", "native-tls", "aws-lc-rs", "aws-lc-sys", "rustls-pemfile"] {
        assert!(locked.iter().all(|(name, _)| name != banned), "{banned} has come into the tree");
    }
    for once in ["rustls", "ring", "sled", "crossbeam-epoch", "tokio", "bytes", "serde"] {
        let versions: Vec<_> = locked.iter().filter(|(name, _)| name == once).collect();
        assert_eq!(versions.len(), 1, "{versions:?}");
    }
}

#[test]
fn every_dependency_has_an_allowed_licence_and_comes_from_the_registry() {
    let deny: toml::Table = fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none");
        if !satisfied(licence, &allowed) {
            found.push(format!("{name}: {licence}"));
        }
        let source = package["source"].as_str();
        if source.is_some_and(|source| {
            !source.starts_with("registry+https://github.com/rust-lang/crates.io-index")
        }) {
            found.push(format!("{name}: {source:?}"));
        }
    }
    expect_none("licences or sources that deny.toml does not allow", &found);
}

/// An SPDX expression, as far as they occur: parentheses aside, OR of ANDs.
fn satisfied(licence: &str, allowed: &[&str]) -> bool {
    let plain = licence.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" AND ").all(|all| all.split(" OR ").any(|one| allowed.contains(&one.trim())))
}

#[test]
fn every_code_has_its_heading_in_the_errors_page() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim().trim_matches('`'))
        .collect();
    let wire = fs::read_to_string(root().join("sdk/src/wire/frame.rs")).unwrap();
    let codes = wire.split("pub enum ErrorCode {").nth(1).unwrap().split('}').next().unwrap();
    let missing: Vec<String> = codes
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_suffix(','))
        .filter(|name| name.chars().all(char::is_alphanumeric) && *name != "Other")
        .map(snake)
        .filter(|code| !headings.contains(&code.as_str()))
        .collect();
    expect_none("wire error codes without a heading in docs/errors.md", &missing);
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
