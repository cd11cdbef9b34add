use carillon_actors::limits::Limits;
use carillon_sdk::Ttl;

use super::*;

fn mistakes(layers: &[Layer]) -> Vec<String> {
    match load(layers) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

fn environment(variables: &[(&str, &str)]) -> Layer {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Layer::environment(variables, |path| std::fs::read_to_string(path))
}

fn origin<'a>(loaded: &'a Loaded, key: &str) -> &'a str {
    &loaded.settings.iter().find(|setting| setting.key == key).unwrap().origin
}

#[test]
fn the_defaults_are_the_engines_own() {
    let loaded = load(&[]).unwrap();
    assert_eq!(format!("{:?}", loaded.config.limits), format!("{:?}", Limits::default()));
}

#[test]
fn every_key_of_default_toml_is_explained_in_the_lines_above_it() {
    let text = include_str!("../../config/default.toml");
    let lines: Vec<&str> = text.lines().collect();
    let mut explained = false;
    for line in lines {
        if line.starts_with('#') {
            explained = true;
        } else if line.is_empty() || line.starts_with('[') {
            explained = false;
        } else {
            // Keys in a row share an explanation: heartbeat_min_s and its neighbours do.
            assert!(explained, "no word about {line}");
        }
    }
}

#[test]
fn what_dev_changes_is_right() {
    assert_eq!(mistakes(&[Layer::dev()]), Vec::<String>::new());
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = Layer::file("c.toml", "[http]\nworkers = 2\n[limits]\ntargets_max = 20\npending_max = 20\n");
    let env = environment(&[("CARILLON_HTTP_WORKERS", "3"), ("CARILLON_LIMITS_TARGETS_MAX", "30")]);
    let flags = Layer::flags([("http.workers", "workers", "4".to_owned())]);
    let loaded = load(&[file, env, flags]).unwrap();
    assert_eq!(loaded.config.http.workers, 4);
    assert_eq!(loaded.config.limits.targets_max, 30);
    assert_eq!(loaded.config.limits.pending_max, 20);
    assert_eq!(origin(&loaded, "http.workers"), "--workers");
    assert_eq!(origin(&loaded, "limits.targets_max"), "CARILLON_LIMITS_TARGETS_MAX");
    assert_eq!(origin(&loaded, "limits.pending_max"), "c.toml:5");
    assert_eq!(origin(&loaded, "limits.ttl_max"), "default");
}

#[test]
fn every_mistake_is_told_at_once() {
    let file = Layer::file(
        "c.toml",
        "[http]\nlisen = \"127.0.0.1:1\"\nworkers = \"many\"\n[limits]\nttl_max = \"7x\"\nack_timeout = 15\n",
    );
    let env = environment(&[("CARILLON_STORE_STRICT", "perhaps"), ("CARILLON_HTTP_LISTN", "x")]);
    let told = mistakes(&[file, env]);
    assert_eq!(
        told,
        [
            "http.lisen (c.toml:2): no such setting; did you mean http.listen?",
            "CARILLON_HTTP_LISTN (CARILLON_HTTP_LISTN): no such setting; did you mean CARILLON_HTTP_LISTEN?",
            "http.workers (c.toml:3): \"many\" will not do; expected a number from 0 to 1024",
            "store.strict (CARILLON_STORE_STRICT): \"perhaps\" will not do; expected true or false",
            "limits.ttl_max (c.toml:5): \"7x\" will not do; expected a span of time from 1s to 365d, such as \"90s\" or \"24h\"",
            "limits.ack_timeout (c.toml:6): 15 will not do; expected a span of time from 10ms to 1h, such as \"90s\" or \"24h\"",
            "limits.ttl_default (default): is longer than limits.ttl_max",
        ]
    );
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let told = mistakes(&[Layer::file("c.toml", "[http]\nworkers = = 2\n")]);
    assert!(told[0].starts_with("c.toml:2: not TOML: "), "{told:?}");
    let told = mistakes(&[Layer::file("c.toml", "workers = 2\n")]);
    assert_eq!(told, ["workers (c.toml:1): a key outside any section; expected a [section] before it"]);
}

#[test]
fn spans_and_sizes_have_units() {
    let file = Layer::file(
        "c.toml",
        "[limits]\nttl_default = \"1h30m\"\nremoval_wait_ms = 7\npayload_bytes_max = 2048\npending_bytes_max = \"2MiB\"\n",
    );
    let limits = load(&[file]).unwrap().config.limits;
    assert_eq!(limits.ttl_default, Ttl::from_secs(5400));
    assert_eq!(limits.removal_wait_ms, 7);
    assert_eq!(limits.payload_bytes_max, 2048);
    assert_eq!(limits.pending_bytes_max, 2 << 20);
}

#[test]
fn numbers_out_of_all_bounds_are_refused_not_wrapped() {
    for text in ["99999999999999999999d", "1s2", "s", "-1s", ""] {
        let told = mistakes(&[Layer::file("c.toml", &format!("[limits]\nttl_max = \"{text}\"\n"))]);
        assert!(told[0].starts_with("limits.ttl_max"), "{text}: {told:?}");
    }
}

#[test]
fn a_secret_comes_from_a_file_and_does_not_print() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    std::fs::write(&path, format!("{secret}\n")).unwrap();
    let loaded =
        load(&[environment(&[("CARILLON_STORE_MASTER_SECRET_FILE", path.to_str().unwrap())])]).unwrap();
    assert_eq!(hex::encode(loaded.config.store.master.as_ref().unwrap().bytes()), secret);
    let printed = format!("{:?} {:?}", loaded.config, loaded.settings);
    assert!(!printed.contains(&secret[..8]), "{printed}");
    assert_eq!(origin(&loaded, "store.master_secret"), "CARILLON_STORE_MASTER_SECRET_FILE");
}

#[test]
fn a_secret_that_is_none_is_refused_without_being_told() {
    let told = mistakes(&[environment(&[("CARILLON_STORE_MASTER_SECRET", &"ab".repeat(32))])]);
    assert_eq!(told.len(), 1);
    assert!(!told[0].contains("abab"), "{told:?}");
}

#[test]
fn an_empty_variable_counts_as_unset_and_kubernetes_own_are_passed_over() {
    let env = environment(&[
        ("CARILLON_HTTP_WORKERS", ""),
        ("CARILLON_HTTP_SERVICE_HOST", "10.0.0.1"),
        ("CARILLON_HTTP_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("CARILLON_SERVER", "http://127.0.0.1:8080"),
    ]);
    assert_eq!(mistakes(&[env]), Vec::<String>::new());
}

#[test]
fn settings_must_go_together() {
    let file = "[http]\ntls_cert = \"a.pem\"\n[limits]\nheartbeat_default_s = 10\n[devices]\nws_public = \"push.example\"\n";
    let told = mistakes(&[Layer::file("c.toml", file)]);
    assert_eq!(
        told,
        [
            "http.tls_key (default): is empty; expected the key of http.tls_cert",
            "limits.heartbeat_default_s (c.toml:4): is shorter than limits.heartbeat_min_s",
            "devices.ws_public (c.toml:6): \"push.example\" will not do; expected a ws:// or wss:// URL",
        ]
    );
}
