use super::{Signal, SignalSet};

#[test]
fn every_spelling_of_a_signal_is_read() {
    for text in ["TERM", "SIGTERM", "term", "SigTerm", "15", "015"] {
        assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
    }
    let number = |text| Signal::parse(text).map(Signal::number);
    assert_eq!(number("RTMIN"), Some(34));
    assert_eq!(number("rtmin+3"), Some(37));
    assert_eq!(number("RTMIN+30"), Some(64));
    assert_eq!(number("SIGRTMAX-1"), Some(63));
    assert_eq!(number("SIGRTMAX-30"), Some(34));
    assert_eq!(number("IOT"), Some(6));
    assert_eq!(number("32"), Some(32));
}

#[test]
fn what_is_no_signal_is_refused() {
    for text in [
        "",
        "0",
        "65",
        "-1",
        "SIG",
        "TERMX",
        "SIGSIGTERM",
        "RTMIN+31",
        "RTMAX-31",
        "RTMAX+1",
        "RTMIN-1",
        "RTMIN+",
        "+1",
        "1 ",
        "99999999999",
        "RTMIN+-1",
    ] {
        assert_eq!(Signal::parse(text), None, "{text}");
    }
}

#[test]
fn every_signal_prints_as_it_is_read() {
    for number in 1..=64 {
        let signal = Signal::new(number).unwrap_or(Signal::TERM);
        assert_eq!(signal.raw(), number);
        assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
    }
}

#[test]
fn a_set_holds_what_was_put_into_it() {
    for held in (1..=64).filter_map(Signal::new) {
        let mut set = SignalSet::default();
        set.insert(held);
        for other in (1..=64).filter_map(Signal::new) {
            assert_eq!(set.contains(other), other == held);
        }
        assert_eq!(set, SignalSet::of([held]));
    }
}
