use proptest::prelude::*;

use super::last_component;

#[test]
fn the_last_component_is_what_follows_the_last_slash() {
    let table: [(&[u8], &[u8]); 8] = [
        (b"sh", b"sh"),
        (b"/bin/sh", b"sh"),
        (b"./sh", b"sh"),
        (b"dir/", b""),
        (b"/", b""),
        (b"", b""),
        (b"-sh", b"-sh"),
        (b"/a\xff/\xfe", b"\xfe"),
    ];
    for (path, expected) in table {
        assert_eq!(
            last_component(path),
            expected,
            "{}",
            String::from_utf8_lossy(path)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_last_component_has_no_slash(path in prop::collection::vec(any::<u8>(), 0..200)) {
        let last = last_component(&path);
        prop_assert!(path.ends_with(last) && !last.contains(&b'/'));
    }
}
