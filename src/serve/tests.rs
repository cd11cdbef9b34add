use super::*;

const PRIVATE: DirFacts = DirFacts { mode: Some(0o700) };

fn config(toml: &str) -> Config {
    crate::config::load(&[Layer::file("test.toml", toml)]).unwrap().config
}

fn check(toml: &str, dir: DirFacts, expected: &[&str]) {
    let refusals = refusals(&config(toml), dir);
    assert_eq!(refusals.len(), expected.len(), "{refusals:?}");
    for (refusal, expected) in refusals.iter().zip(expected) {
        assert!(refusal.contains(expected) && refusal.ends_with('.'), "{refusal} should say {expected}");
    }
}

#[test]
fn the_defaults_on_loopback_are_served() {
    check("", PRIVATE, &[]);
    check("", DirFacts { mode: None }, &[]);
}

#[test]
fn a_public_listener_without_tls_is_refused_unless_behind_a_proxy() {
    let public = "[http]\nlisten = \"0.0.0.0:80\"\n[devices]\ntcp = \"[::]:1\"\nws = \"10.0.0.1:2\"\n";
    check(public, PRIVATE, &["http.listen", "devices.tcp", "devices.ws"]);
    let proxied = "[http]\nlisten = \"0.0.0.0:80\"\nbehind_proxy = true\n[devices]\ntcp = \"[::]:1\"\nbehind_proxy = true\n";
    check(proxied, PRIVATE, &[]);
    let tls = "[http]\nlisten = \"0.0.0.0:443\"\ntls_cert = \"c\"\ntls_key = \"k\"\n";
    check(tls, PRIVATE, &[]);
}

#[test]
fn a_tls_listener_without_a_certificate_is_refused() {
    check("[devices]\ntls = \"127.0.0.1:1\"\n", PRIVATE, &["devices.tls needs devices.tls_cert"]);
}

#[test]
fn a_master_secret_somebody_typed_is_refused() {
    let secret = |hex: &str| format!("[store]\nmaster_secret = \"{hex}\"\n");
    check(&secret(&"01".repeat(16).repeat(2).replacen("01", "02", 1)), PRIVATE, &["can be guessed"]);
    let counting: String = (0..32).map(|n| format!("{n:02x}")).collect();
    check(&secret(&counting), PRIVATE, &["can be guessed"]);
    let drawn = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    check(&secret(drawn), PRIVATE, &[]);
}

#[test]
fn a_data_directory_that_others_can_read_is_refused() {
    check("", DirFacts { mode: Some(0o755) }, &["others can read it"]);
}
