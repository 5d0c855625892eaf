#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the wrong answer has failed"
)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{Address, Host, Question, Target, parse_ipv4, parse_ipv6};

fn address(host: &str, port: u16) -> Address {
    let host = match host {
        "localhost" => Host::Localhost,
        address => Host::Literal(address.parse().unwrap()),
    };
    Address { host, port }
}

fn http(host: &str, port: u16, authority: &str, path: &str) -> Target {
    Target::Asked(Question::Http {
        address: address(host, port),
        authority: authority.to_owned(),
        path: path.to_owned(),
    })
}

fn tcp(address: Address) -> Target {
    Target::Asked(Question::Tcp(address))
}

fn unix(path: &str) -> Target {
    Target::Asked(Question::Unix(path.to_owned()))
}

fn file(path: &str) -> Target {
    Target::Asked(Question::File(path.to_owned()))
}

/// The words of an `exec:` target.
#[track_caller]
fn words(text: &str) -> Vec<String> {
    match Target::parse(text) {
        Ok(Target::Asked(Question::Exec(words))) => {
            let words = words.into_iter();
            words.map(|word| String::from_utf8(word).unwrap()).collect()
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn a_target_means_what_it_says() {
    let table = [
        ("http://127.0.0.1", http("127.0.0.1", 80, "127.0.0.1", "")),
        (
            "http://127.0.0.1:8080/healthz",
            http("127.0.0.1", 8080, "127.0.0.1:8080", "/healthz"),
        ),
        ("http://localhost/", http("localhost", 80, "localhost", "/")),
        (
            "http://LocalHost:1",
            http("localhost", 1, "LocalHost:1", ""),
        ),
        ("http://[::1]", http("::1", 80, "[::1]", "")),
        (
            "http://[fd00::2]:65535/a?b=c:d",
            http("fd00::2", 65535, "[fd00::2]:65535", "/a?b=c:d"),
        ),
        (
            "http://10.0.0.1?full",
            http("10.0.0.1", 80, "10.0.0.1", "?full"),
        ),
        (
            "http://10.0.0.1//x:y@z",
            http("10.0.0.1", 80, "10.0.0.1", "//x:y@z"),
        ),
        ("tcp://localhost:5432", tcp(address("localhost", 5432))),
        ("tcp://[::]:1", tcp(address("::", 1))),
        ("unix:/run/redis.sock", unix("/run/redis.sock")),
        ("unix://run/a:b", unix("//run/a:b")),
        ("file:/run/beat", file("/run/beat")),
        ("file:a b", file("a b")),
        ("notify", Target::Notify),
    ];
    for (text, expected) in table {
        assert_eq!(Target::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn the_words_of_a_program_are_split_as_a_shell_splits_them() {
    let table: [(&str, &[&str]); 12] = [
        ("pg_isready", &["pg_isready"]),
        (
            " pg_isready \t-q\n -h  /run ",
            &["pg_isready", "-q", "-h", "/run"],
        ),
        ("a 'b c' d", &["a", "b c", "d"]),
        ("a \"b c\" d", &["a", "b c", "d"]),
        ("a '' \"\"", &["a", "", ""]),
        ("a b'c d'\"e f\"g", &["a", "bc de fg"]),
        (r"a b\ c \\ \'", &["a", "b c", r"\", "'"]),
        (r#"a "\"\\\$\`\n" '\n'"#, &["a", r#""\$`\n"#, r"\n"]),
        ("a $HOME `id` *", &["a", "$HOME", "`id`", "*"]),
        ("a 'it'\\''s'", &["a", "it's"]),
        ("a;b|c&d", &["a;b|c&d"]),
        ("é 'ü'", &["é", "ü"]),
    ];
    for (text, expected) in table {
        assert_eq!(words(&format!("exec:{text}")), expected, "{text}");
    }
}

#[test]
fn what_is_no_target_is_refused_with_the_reason() {
    let long = |kind: &str, bytes: usize| format!("{kind}:/{}", "x".repeat(bytes - 1));
    let (socket, file) = (long("unix", 108), long("file", 4096));
    let table = [
        ("", "expected http://"),
        ("http", "expected http://"),
        ("http:/127.0.0.1", "expected http://"),
        ("HTTP://127.0.0.1", "expected http://"),
        ("tcp:127.0.0.1:80", "expected http://"),
        ("udp://127.0.0.1:80", "expected http://"),
        ("Notify", "expected http://"),
        ("127.0.0.1:80", "expected http://"),
        ("https://127.0.0.1", "frigate speaks no TLS"),
        ("http://", "its host is no address and not localhost"),
        (
            "http://example.org/",
            "its host is no address and not localhost",
        ),
        (
            "http://user@127.0.0.1/",
            "its host is no address and not localhost",
        ),
        ("http://127.1/", "its host is no address and not localhost"),
        ("http://[::1", "its host is no address and not localhost"),
        (
            "http://[127.0.0.1]/",
            "its host is no address and not localhost",
        ),
        (
            "http://[fe80::1%eth0]/",
            "its host is no address and not localhost",
        ),
        ("tcp://:80", "its host is no address and not localhost"),
        ("http://::1/", "its host has no brackets"),
        ("tcp://fd00::2:80", "its host has no brackets"),
        ("tcp://127.0.0.1", "it names no port"),
        ("tcp://[::1]", "it names no port"),
        ("http://127.0.0.1:", "its port"),
        ("http://127.0.0.1:0/", "its port"),
        ("http://127.0.0.1:65536/", "its port"),
        ("http://127.0.0.1:-1/", "its port"),
        ("http://127.0.0.1:http/", "its port"),
        ("http://[::1]80/", "its port"),
        ("tcp://127.0.0.1:80/", "its port"),
        ("http://127.0.0.1/a b", "its path"),
        ("http://127.0.0.1/\r\nX: y", "its path"),
        ("http://127.0.0.1/ä", "its path"),
        ("http://127.0.0.1/#top", "its path"),
        ("http://127.0.0.1#top", "its path"),
        ("unix:", "expected the path of a socket"),
        (&socket, "expected the path of a socket"),
        ("file:", "expected the path of a file"),
        (&file, "expected the path of a file"),
        ("exec:", "it names no program"),
        ("exec: \t", "it names no program"),
        ("exec:'' a", "it names no program"),
        ("exec:a 'b", "a quotation mark"),
        ("exec:a \"b", "a quotation mark"),
        ("exec:a \"b\\", "a quotation mark"),
        ("exec:a b\\", "nothing follows its last backslash"),
        ("exec:a\0b", "it has a null byte"),
        ("unix:/a\0b", "it has a null byte"),
    ];
    for (text, expected) in table {
        let refused = Target::parse(text).expect_err(text);
        assert!(refused.starts_with(expected), "{text:?}: {refused}");
    }
    assert!(Target::parse(&long("unix", 107)).is_ok());
    assert!(Target::parse(&long("file", 4095)).is_ok());
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text: String, kind in 0_usize..8) {
        let kinds = ["", "http://", "tcp://", "unix:", "file:", "exec:", "http://[", "http://127.0.0.1:"];
        let _ = Target::parse(&format!("{}{text}", kinds[kind]));
    }

    #[test]
    fn every_address_is_read_back(ip: IpAddr, port in 1_u16.., path in "(/[!-\"$-~]*)?") {
        let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        let address = Address { host: Host::Literal(ip), port };
        let text = format!("tcp://{host}:{port}");
        prop_assert_eq!(Target::parse(&text), Ok(tcp(address)));
        let authority = format!("{host}:{port}");
        let text = format!("http://{authority}{path}");
        prop_assert_eq!(Target::parse(&text), Ok(Target::Asked(Question::Http { address, authority, path })));
    }

    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them(
        digits in "[0-9]{1,3}(\\.[0-9]{1,3}){2,4}",
        groups in "(:{0,2}[0-9a-fA-F]{1,5}){0,9}:{0,2}(1\\.2\\.3\\.4)?",
        colons in "[0-9a-f:.]{0,12}",
        v4: Ipv4Addr,
        v6: Ipv6Addr,
    ) {
        for text in [digits, groups, colons, v4.to_string(), v6.to_string(), format!("::{v4}")] {
            prop_assert_eq!(parse_ipv4(&text), text.parse::<Ipv4Addr>().ok(), "{}", text);
            prop_assert_eq!(parse_ipv6(&text), text.parse::<Ipv6Addr>().ok(), "{}", text);
        }
    }

    #[test]
    fn every_list_of_words_is_read_back_from_its_quoted_form(
        list in proptest::collection::vec("[^\0]*", 1..5)
    ) {
        prop_assume!(!list[0].is_empty());
        let text: Vec<_> = list.iter().map(|word| quoted(word)).collect();
        prop_assert_eq!(words(&format!("exec:{}", text.join(" "))), list);
    }

    #[test]
    fn escaped_characters_are_read_back(list in proptest::collection::vec("[^\0]+", 1..5)) {
        let escape = |word: &String| word.chars().flat_map(|c| ['\\', c]).collect::<String>();
        let text: Vec<_> = list.iter().map(escape).collect();
        prop_assert_eq!(words(&format!("exec:{}", text.join(" "))), list);
    }
}
