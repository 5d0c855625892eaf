use proptest::prelude::*;

use super::StatusLine;
use crate::core::health::failure::CheckFailure;

type Verdict = Option<Result<(), CheckFailure>>;

fn judge(line: &[u8]) -> Verdict {
    StatusLine::default().take(line)
}

#[test]
fn a_status_line_is_a_success_from_200_to_399() {
    let status = |status| Some(Err(CheckFailure::Status(status)));
    let not_http = Some(Err(CheckFailure::NotHttp));
    let table: [(&[u8], Verdict); 20] = [
        (b"HTTP/1.0 200 OK\r\n", Some(Ok(()))),
        (b"HTTP/1.1 204\r\n", Some(Ok(()))),
        (b"HTTP/1.1 204\n", Some(Ok(()))),
        (
            b"HTTP/1.1 301 Moved Permanently\r\nLocation: /\r\n",
            Some(Ok(())),
        ),
        (b"HTTP/2.0 399 \n", Some(Ok(()))),
        (b"HTTP/1.1 100 Continue\r\n", status(100)),
        (b"HTTP/1.1 199 x\r\n", status(199)),
        (b"HTTP/1.1 400 Bad Request\r\n", status(400)),
        (b"HTTP/1.1 503 Service Unavailable\r\n", status(503)),
        (b"HTTP/1.1 999\r\n", status(999)),
        (b"HTTP/1.1 000\r\n", not_http),
        (b"HTTP/1.1 20\r\n", not_http),
        (b"HTTP/1.1 2000\r\n", not_http),
        (b"HTTP/1.1\r\n", not_http),
        (b"http/1.1 200 OK\r\n", not_http),
        (b"\r\n", not_http),
        (b"+OK ready", not_http),
        (b"HTTP/1.1 200 OK", None),
        (b"HTTP/1.1 20", None),
        (b"", None),
    ];
    for (line, expected) in table {
        assert_eq!(judge(line), expected, "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn the_text_behind_the_status_may_have_any_length() {
    let mut line = StatusLine::default();
    assert_eq!(line.take(b"HTTP/1.1 200 "), None);
    for _ in 0..1024 {
        assert_eq!(line.take(&[b'x'; 1024]), None);
    }
    assert_eq!(line.take(b"\r\n"), Some(Ok(())));
}

/// Something like a status line, or anything.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let line = "HTTP/1.[01] [0-9]{1,4}.{0,20}(\r?\n)?".prop_map(String::into_bytes);
    prop_oneof![line, proptest::collection::vec(any::<u8>(), 0..30)]
}

proptest! {
    #[test]
    fn pieces_of_any_size_mean_the_same(line in any_line(), size in 1_usize..8) {
        let mut pieces = StatusLine::default();
        let verdict = line.chunks(size).find_map(|piece| pieces.take(piece));
        prop_assert_eq!(verdict, judge(&line));
    }
}
