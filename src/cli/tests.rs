use clap::{CommandFactory, Parser};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn without_a_command_it_is_dev() {
    assert!(parse("carillon").unwrap().command.is_none());
}

#[test]
fn every_line_of_the_manual_is_understood() {
    for line in [
        "carillon dev --data d --ephemeral-ports --no-samples --json",
        "carillon serve --config c.toml --behind-proxy --data d",
        "carillon push --user a --user b --title t --body b --data {\"n\":1} --ttl 60s --lane high --json",
        "carillon push --device d --idempotency-key k --collapse-key c --silent --title t",
        "carillon push --all --title t",
        "carillon device --user u --count 1 --timeout 30s --transport ws-text --no-ack --json",
        "carillon device --credential f --device-id d --transport tls",
        "carillon device tokens d --json",
        "carillon device import tokens.csv --form csv --skip --json",
        "carillon device export tokens.jsonl --channel xiaomi",
        "carillon device watch phone-1 --since 7 --count 3 --json",
        "carillon message 0190b5a0-0000-7000-8000-000000000000 --json",
        "carillon stats --last 1d --granularity hour --group-by platform,push_type --json",
        "carillon schedule create --user a --title t --at 2026-12-01T09:00:00+08:00 --missed skip --name n",
        "carillon schedule create --all --title t --every week --on 1,7 --time 09:00 --zone UTC --to 2026-12-31",
        "carillon schedule list --json",
        "carillon schedule show 0123 --json",
        "carillon schedule runs --from 2026-12-01T00:00:00Z --json",
        "carillon schedule cancel 0123 --run 4567",
        "carillon key create --name n --scope push,read --bearer --json",
        "carillon key revoke k",
        "carillon app create shop --workspace-id test --name Shop",
        "carillon token mint --user u --device d --ttl 5m",
        "carillon push --all --title t --vendor {\"route\":\"own_only\",\"badge\":3}",
        "carillon vendor add fcm --credential-file key.json --settings {} --host send=http://127.0.0.1:1 --json",
        "carillon vendor add vivo --credential-file - --quota marketing=none --enabled false",
        "carillon vendor list --json",
        "carillon vendor show apns --json",
        "carillon vendor test xiaomi --token t --json",
        "carillon vendor quota oppo --json",
        "carillon vendor rotate huawei --credential-file - --token t --json",
        "carillon vendor remove honor",
        "carillon settings set --route vendor-after --vendor-after 20 --fallback none",
        "carillon curl POST /v1/pushes -d {} --show",
        "carillon config check c.toml",
        "carillon config print c.toml --show-origin --json",
        "carillon version --json",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn a_push_names_whom_it_is_for_in_one_way() {
    for line in [
        "carillon push --title t",
        "carillon push --title t --user u --all",
        "carillon push --title t --device d --all",
        "carillon push --title t --user u --device d",
        "carillon push --title t --all --data 7",
        "carillon push --title t --all --ttl soon",
        "carillon push --title t --all --lane bulk",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
