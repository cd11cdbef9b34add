use super::*;

use State::{Aborted, Failed, Finished, Holding, Paused, Planned, Revoked, Revoking, Running, Settling};

const STATES: [State; 10] = State::ALL;
const COMMANDS: [Command; 4] = [Command::Pause, Command::Resume, Command::Abort, Command::Revoke];

const NOW: Timestamp = Timestamp::from_millis(5);

fn campaign(state: State) -> Campaign {
    let spec = Spec {
        name: None,
        content: Content::default(),
        template: None,
        values: Values::new(),
        to: To::Audience { text: None, audience: Audience::Everybody },
        ttl: Ttl::from_secs(60),
        collapse_key: None,
        pace: Pace::default(),
        canary: None,
    };
    Campaign { state, ..Campaign::planned(spec, "ck_1".to_owned(), NOW) }
}

#[test]
fn each_command_leads_from_each_state_where_the_drawing_says() {
    let expected = |command, state| match (command, state) {
        (Command::Pause, Running) => Follows::State(Paused),
        (Command::Pause, Paused | Holding) | (Command::Resume, Running | Settling | Finished) => {
            Follows::Nothing
        }
        (Command::Resume, Paused | Holding) => Follows::State(Running),
        (Command::Abort, Planned | Running | Paused | Holding) => Follows::State(Aborted),
        (Command::Abort, Aborted) | (Command::Revoke, Revoking | Revoked) => Follows::Nothing,
        (Command::Revoke, Running | Paused | Holding | Settling | Finished | Aborted | Failed) => {
            Follows::State(Revoking)
        }
        _ => Follows::Wrong,
    };
    for command in COMMANDS {
        for state in STATES {
            assert_eq!(campaign(state).follows(command), expected(command, state), "{command:?} {state:?}");
        }
    }
}

#[test]
fn a_command_that_is_repeated_changes_nothing_more() {
    for command in COMMANDS {
        for state in STATES {
            if let Follows::State(next) = campaign(state).follows(command) {
                let again = campaign(next).follows(command);
                assert_eq!(again, Follows::Nothing, "{command:?} {state:?}");
            }
        }
    }
}

#[test]
fn going_on_after_a_hold_passes_the_canary_and_going_on_after_a_pause_does_not() {
    assert!(campaign(Holding).in_state(Running, NOW).canary_passed);
    assert!(!campaign(Paused).in_state(Running, NOW).canary_passed);
    let passed = campaign(Holding).in_state(Running, NOW);
    assert!(passed.in_state(Paused, NOW).in_state(Running, NOW).canary_passed);
}

#[test]
fn a_terminal_state_has_its_time_and_no_other_has() {
    for state in STATES {
        let ended_at = campaign(Running).in_state(state, NOW).ended_at;
        assert_eq!(ended_at.is_some(), state.is_terminal(), "{state:?}");
    }
}

#[test]
fn a_share_is_above_none_and_below_all() {
    for none in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY, 1e-9] {
        assert_eq!(Share::parse(none), None, "{none}");
    }
    let share = Share::parse(0.01).unwrap();
    assert_eq!([0, 1, 100, 101, 1_000_000].map(|whole| share.of(whole)), [0, 1, 1, 2, 10_000]);
}

#[test]
fn a_campaign_written_by_an_older_build_is_read() {
    let mut value = serde_json::to_value(campaign(Running)).unwrap();
    for later in ["applied", "canary_passed", "done", "ended_at", "reason"] {
        value.as_object_mut().unwrap().remove(later);
    }
    assert_eq!(serde_json::from_value::<Campaign>(value).unwrap(), campaign(Running));
}
