//! The server held to its own description by a stranger: schemathesis makes requests of every kind
//! that /openapi.json allows, and many that it does not, and looks at each answer.

use std::process::Command;
use std::time::Duration;

use super::harness::{Server, python};

/// What an answer must be: never a 5xx that says we failed, of a described status, content type and
/// form. Whether wrong requests are refused and right ones taken is not asked: the description
/// cannot say all that a body must be (a template that exists, a time to come).
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Left out: streams and long polls, which do not end by themselves; and whatever would make the
/// server post to addresses that somebody made up.
const LEFT_OUT: &str = "(/events|/endpoints.*|/settings.*)$";

/// Examples an operation; with the systematic ones some 3,500 requests, half a minute of two cores.
const EXAMPLES: &str = "8";

const DEADLINE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn every_answer_is_one_that_the_description_has() {
    let server = Server::start().await;
    let key = format!("Authorization: Bearer {}.{}", server.ready.key_id, server.ready.key_secret);
    let description = format!("{}/openapi.json", server.ready.http);
    let scratch = tempfile::tempdir().unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        Command::new(python("tests/contract/requirements.txt"))
            .args(["-m", "schemathesis.cli", "run", &description, "-H", &key])
            .args(["--checks", CHECKS, "--exclude-path-regex", LEFT_OUT])
            .args(["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "7"])
            .current_dir(scratch.path())
            .output()
            .unwrap()
    });
    let asked = tokio::time::timeout(DEADLINE, asked).await.expect("it takes too long").unwrap();
    let told = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(asked.status.success(), "{told}\n{}", String::from_utf8_lossy(&asked.stderr));
    let tested = told.lines().find_map(|line| line.trim().strip_prefix("Tested: "));
    let tested: u32 = tested.and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(tested > 50, "{tested} operations were asked:\n{told}");
}
