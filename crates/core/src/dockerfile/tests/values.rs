//! Ports, signals, durations, modes.

use super::super::{Transport, duration, mode, port, signal};

#[test]
fn ports_have_ranges_and_transports() {
    use Transport::{Sctp, Tcp, Udp};
    assert_eq!(port("80"), Ok(vec![(80, Tcp)]));
    assert_eq!(port("53/UDP"), Ok(vec![(53, Udp)]));
    assert_eq!(port("7/sctp"), Ok(vec![(7, Sctp)]));
    assert_eq!(port("65534-65535/tcp"), Ok(vec![(65534, Tcp), (65535, Tcp)]));
    for bad in
        ["", "0", "65536", "-1", "+1", "a", "80/", "80/http", "2-1", "1-", "-", "8080:80", "127.0.0.1:80", "1-2-3"]
    {
        assert!(port(bad).is_err(), "{bad}");
    }
}

#[test]
fn signals_are_names_or_numbers() {
    for (text, expected) in [
        ("SIGTERM", "SIGTERM"),
        ("quit", "SIGQUIT"),
        ("9", "9"),
        ("SIGRTMIN+3", "SIGRTMIN+3"),
        ("RTMAX-1", "SIGRTMAX-1"),
    ] {
        assert_eq!(signal(text).as_deref(), Ok(expected));
    }
    for bad in ["", "0", "65", "SIG", "SIGFOO", "SIGRTMIN+16", "TERM ", "-9"] {
        assert!(signal(bad).is_err(), "{bad}");
    }
}

#[test]
fn durations_are_those_of_go() {
    let table = [
        ("0", 0),
        ("5s", 5_000_000_000),
        ("1m30s", 90_000_000_000),
        ("500ms", 500_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("10us", 10_000),
        ("10µs", 10_000),
        ("7ns", 7),
        ("+1s", 1_000_000_000),
        ("0.1234567899s", 123_456_789),
    ];
    for (text, expected) in table {
        assert_eq!(duration(text), Ok(expected), "{text}");
    }
    for bad in ["", "5", "s", "-1s", "1x", "1s ", "1 s", ".s", "1.2.3s", "99999999999h", "1d"] {
        assert!(duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn modes_change_as_chmod_changes_them() {
    let table = [
        ("0755", 0o600, false, 0o755),
        ("4755", 0o600, false, 0o4755),
        ("7", 0o600, false, 0o007),
        ("u+x", 0o644, false, 0o744),
        ("+x", 0o644, false, 0o755),
        ("a-w", 0o666, false, 0o444),
        ("go=", 0o777, false, 0o700),
        ("u=rwX,go=rX", 0o600, false, 0o644),
        ("u=rwX,go=rX", 0o700, false, 0o755),
        ("u=rwX,go=rX", 0o600, true, 0o755),
        ("g=u", 0o640, false, 0o660),
        ("o=g", 0o640, false, 0o644),
        ("u+s", 0o755, false, 0o4755),
        ("g+s", 0o755, true, 0o2755),
        ("+t", 0o755, true, 0o1755),
        ("u+t", 0o755, true, 0o755),
        ("ug=rx", 0o6777, false, 0o557),
        ("ug=rx", 0o6777, true, 0o6557),
        ("u+r-w", 0o200, false, 0o400),
        ("=r", 0o777, false, 0o444),
        ("a+rX,go-w", 0o622, true, 0o755),
    ];
    for (text, old, is_dir, expected) in table {
        let found = mode(text).unwrap().apply(old, is_dir);
        assert_eq!(found, expected, "{text} of {old:o} is {found:o}");
    }
    for bad in ["", "8", "09", "77777", "u", "x", "u+q", "u+x,", ",u+x", "u~x", "+x u", "0x1"] {
        assert!(mode(bad).is_err(), "{bad}");
    }
}
