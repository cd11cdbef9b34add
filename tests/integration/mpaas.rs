//! The acceptance table of the mPaaS contract, with the official SDKs from PyPI: tests/mpaas has a
//! function a row. Here the real binary is started and the table run against it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::harness::{Call, Server, call, python, root};

/// The whole table takes a minute on two idle cores.
const TABLE_DEADLINE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn every_row_of_the_mpaas_contract_holds_with_the_official_sdks() {
    let server = Server::start().await;
    let line = server.line.clone();
    let table = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(python("tests/mpaas/requirements.txt"))
            .args(["tests/mpaas/run.py", "-"])
            .current_dir(root())
            .env("CARILLON", env!("CARGO_BIN_EXE_carillon"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let table = tokio::time::timeout(TABLE_DEADLINE, table).await.expect("the table takes too long").unwrap();
    let told = String::from_utf8_lossy(&table.stdout).into_owned();
    println!("{told}");
    assert!(table.status.success(), "{told}\n{}", String::from_utf8_lossy(&table.stderr));
    let held = told.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(held >= 66, "only {held} rows were run:\n{told}");
}

#[tokio::test]
async fn a_server_without_the_face_answers_as_if_there_were_none() {
    let server = Server::start_with(&[("CARILLON_MPAAS_ENABLED", "false")]).await;
    let call_of = |method| Call::new(method, "/", "Action=PushSimple").header("x-acs-action", "PushSimple");
    call(server.http(), &call_of("POST")).await.expect_problem(405, "method_not_allowed");
    assert_eq!(call(server.http(), &Call::new("GET", "/", "")).await.status, 200);
}
