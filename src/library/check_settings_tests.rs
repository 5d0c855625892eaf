#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the wrong answer has failed"
)]

use super::*;
use crate::core::health::target::{Address, Host};

fn asking(health: &str) -> CheckSettings {
    CheckSettings {
        health: Some(health.to_owned()),
        ..CheckSettings::default()
    }
}

fn reason(health: &str) -> &'static str {
    match asking(health).parse() {
        Err(Error::Target { target, reason }) => {
            assert_eq!(target, health);
            reason
        }
        other => panic!("{health} was to be refused: {other:?}"),
    }
}

#[test]
fn without_a_target_nothing_is_checked_whatever_else_is_set() {
    let settings = CheckSettings {
        interval: Duration::from_secs(1),
        retries: 7,
        ..CheckSettings::default()
    };
    let wanted = settings.parse().unwrap();
    assert_eq!(wanted.rules, CheckRules::NONE);
    assert_eq!((wanted.health, wanted.ready), (None, None));
}

#[test]
fn the_defaults_are_those_of_the_options() {
    let wanted = CheckSettings {
        ready: Some("unix:/run/x".to_owned()),
        ..asking("tcp://localhost:80")
    };
    let wanted = wanted.parse().unwrap();
    let expected = CheckRules {
        health: Some(HealthRules::new(Method::Check)),
        ready: Some(ReadyRules {
            method: Method::Check,
            within: Some(READY_WITHIN),
        }),
        ..CheckRules::NONE
    };
    assert_eq!(wanted.rules, expected);
    let address = Address {
        host: Host::Localhost,
        port: 80,
    };
    assert_eq!(wanted.health, Some(Question::Tcp(address)));
    assert_eq!(wanted.ready, Some(Question::Unix("/run/x".to_owned())));
}

#[test]
fn each_setting_becomes_a_rule_of_the_core() {
    let settings = CheckSettings {
        health: Some("exec:true".to_owned()),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        retries: 4,
        start: Duration::from_secs(5),
        signal: Some(Signal::QUIT.raw()),
        ready: Some("file:/x".to_owned()),
        within: Duration::ZERO,
    };
    let expected = CheckRules {
        health: Some(HealthRules {
            method: Method::Check,
            interval: Duration::from_secs(1),
            retries: 4,
            start: Duration::from_secs(5),
            signal: Some(Signal::QUIT),
        }),
        ready: Some(ReadyRules {
            method: Method::Check,
            within: None,
        }),
        timeout: Duration::from_secs(2),
        run_programs: true,
    };
    let wanted = settings.parse().unwrap();
    assert_eq!(wanted.rules, expected);
    assert_eq!(wanted.rules.longest_age(), Duration::from_secs(3));
}

#[test]
fn with_notify_nothing_is_asked() {
    let wanted = CheckSettings {
        interval: Duration::from_secs(7),
        ready: Some("exec:true".to_owned()),
        ..asking("notify")
    };
    let wanted = wanted.parse().unwrap();
    assert_eq!(wanted.health, None);
    assert!(wanted.ready.is_some());
    assert_eq!(wanted.rules.watchdog(), Some(Duration::from_secs(7)));
    assert_eq!(wanted.rules.ready.unwrap().method, Method::Check);
    let wanted = CheckSettings {
        ready: Some("notify".to_owned()),
        ..CheckSettings::default()
    };
    let rules = wanted.parse().unwrap().rules;
    assert!(rules.expects_notifications());
    assert_eq!(rules.watchdog(), None);
}

#[test]
fn a_wrong_target_is_refused_for_the_same_reason_as_by_the_binary() {
    for target in [
        "",
        "top",
        "tcp://example.org:80",
        "https://localhost/",
        "exec:",
    ] {
        assert_eq!(
            Some(reason(target)),
            Target::parse(target).err(),
            "{target}"
        );
    }
    for target in ["file:beat", "unix:run/x", "unix:./x"] {
        assert_eq!(reason(target), "its path does not begin with '/'");
    }
    let ready = CheckSettings {
        ready: Some("nonsense".to_owned()),
        ..asking("exec:true")
    };
    assert!(matches!(ready.parse(), Err(Error::Target { target, .. }) if target == "nonsense"));
}

#[test]
fn a_signal_is_a_number_that_can_be_sent_and_means_something() {
    let signal = |number| {
        let settings = CheckSettings {
            signal: Some(number),
            ..asking("exec:true")
        };
        settings
            .parse()
            .map(|wanted| wanted.rules.health.unwrap().signal)
    };
    for number in [1, 3, 9, 15, 34, 64] {
        assert_eq!(signal(number).unwrap(), Signal::new(number), "{number}");
    }
    for number in [i32::MIN, -1, 0, 17, 19, 65, i32::MAX] {
        assert!(
            matches!(signal(number), Err(Error::Word { word, .. }) if word == number.to_string()),
            "{number}"
        );
    }
}
