use proptest::prelude::*;

use super::Quantity::{self, Count, Cpus, Size, Weight};

fn parse(quantity: Quantity, text: &str) -> Option<String> {
    quantity.parse(text)
}

#[test]
fn sizes_are_powers_of_1024() {
    let table = [
        ("0", "0"),
        ("512", "512"),
        ("64K", "65536"),
        ("64k", "65536"),
        ("64Ki", "65536"),
        ("64KiB", "65536"),
        ("512M", "536870912"),
        ("512m", "536870912"),
        ("512MiB", "536870912"),
        ("2G", "2147483648"),
        ("2GiB", "2147483648"),
        ("1T", "1099511627776"),
        ("max", "max"),
        ("9223372036854775807", "9223372036854775807"),
    ];
    for (typed, bytes) in table {
        assert_eq!(parse(Size, typed).as_deref(), Some(bytes), "{typed}");
    }
}

#[test]
fn what_is_no_size_has_no_meaning() {
    let wrong = [
        "",
        "K",
        "-1",
        "+1",
        "1 K",
        "1.5G",
        "64KB",
        "64kib",
        "MAX",
        "9223372036854775808",
        "9000000T",
        "1P",
        "½",
    ];
    for wrong in wrong {
        assert_eq!(parse(Size, wrong), None, "{wrong}");
    }
}

#[test]
fn cpus_become_a_quota_of_the_default_period() {
    let table = [
        ("1", "100000 100000"),
        ("1.5", "150000 100000"),
        ("0.25", "25000 100000"),
        ("0.01", "1000 100000"),
        ("0.123456789", "12345 100000"),
        ("64", "6400000 100000"),
        ("max", "max"),
        ("50000 100000", "50000 100000"),
        ("max 50000", "max 50000"),
        ("1000 1000000", "1000 1000000"),
    ];
    for (typed, value) in table {
        assert_eq!(parse(Cpus, typed).as_deref(), Some(value), "{typed}");
    }
}

#[test]
fn what_is_no_share_of_processors_has_no_meaning() {
    let wrong = [
        "",
        "0",
        "0.0",
        "0.009",
        ".5",
        "1.",
        "-1",
        "1,5",
        "1000001",
        "99999999999999999999",
        "999 100000",
        "50000 999",
        "50000 1000001",
        "50000",
        "max max",
        "1 2 3",
        "50000  100000",
        " 1",
        "1 ",
        "0.x",
    ];
    for wrong in wrong {
        assert_eq!(parse(Cpus, wrong), None, "{wrong}");
    }
}

#[test]
fn weights_and_counts_keep_to_the_kernels_ranges() {
    assert_eq!(parse(Weight, "1").as_deref(), Some("1"));
    assert_eq!(parse(Weight, "10000").as_deref(), Some("10000"));
    for wrong in ["", "0", "10001", "-1", "max", "1.5"] {
        assert_eq!(parse(Weight, wrong), None, "{wrong}");
    }
    assert_eq!(parse(Count, "0").as_deref(), Some("0"));
    assert_eq!(parse(Count, "128").as_deref(), Some("128"));
    assert_eq!(parse(Count, "max").as_deref(), Some("max"));
    for wrong in ["", "-1", "many", "1K", "1.5"] {
        assert_eq!(parse(Count, wrong), None, "{wrong}");
    }
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(u64::MAX), Just(0), 1..200_000_u64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_shares_of_processors_can_be_compared(
        (quota, period) in (any_number(), any_number()),
        (quota_above, period_above) in (any_number(), any_number()),
    ) {
        let own = format!("{quota} {period}");
        let exceeds = Cpus.exceeds(&own, &format!("{quota_above} {period_above}\n"));
        let product = |quota: u64, period: u64| u128::from(quota) * u128::from(period);
        prop_assert_eq!(exceeds, product(quota, period_above) > product(quota_above, period));
    }
}
