use proptest::prelude::*;

use super::*;

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
        assert_eq!(size(typed).as_deref(), Some(bytes), "{typed}");
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
        assert_eq!(size(wrong), None, "{wrong}");
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
        assert_eq!(cpus(typed).as_deref(), Some(value), "{typed}");
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
        assert_eq!(cpus(wrong), None, "{wrong}");
    }
}

#[test]
fn weights_and_counts_keep_to_the_kernels_ranges() {
    assert_eq!(weight("1").as_deref(), Some("1"));
    assert_eq!(weight("10000").as_deref(), Some("10000"));
    for wrong in ["", "0", "10001", "-1", "max", "1.5"] {
        assert_eq!(weight(wrong), None, "{wrong}");
    }
    assert_eq!(count("0").as_deref(), Some("0"));
    assert_eq!(count("128").as_deref(), Some("128"));
    assert_eq!(count("max").as_deref(), Some("max"));
    for wrong in ["", "-1", "many", "1K", "1.5"] {
        assert_eq!(count(wrong), None, "{wrong}");
    }
}

#[test]
fn any_file_but_frigates_own_can_be_assigned() {
    let read = |text| assignment(text).map(|(file, value)| (file + "|") + &value);
    assert_eq!(
        read("io.max=8:0 rbps=1048576").as_deref(),
        Some("io.max|8:0 rbps=1048576")
    );
    assert_eq!(
        read("hugetlb.2MB.max=0").as_deref(),
        Some("hugetlb.2MB.max|0")
    );
    assert_eq!(
        read("cgroup.max.descendants=8").as_deref(),
        Some("cgroup.max.descendants|8")
    );
    assert_eq!(
        read("cpuset.cpus.exclusive=0-1").as_deref(),
        Some("cpuset.cpus.exclusive|0-1")
    );
    let wrong = [
        "",
        "=",
        "memory.max",
        "memory.max=",
        "=1",
        "memory=1",
        ".max=1",
        "memory.=1",
        "../memory.max=1",
        "a/b.c=1",
        "cgroup.procs=0",
        "cgroup.threads=0",
        "cgroup.kill=1",
        "cgroup.freeze=1",
        "cgroup.type=threaded",
        "cgroup.subtree_control=+pids",
    ];
    for wrong in wrong {
        assert_eq!(assignment(wrong), None, "{wrong}");
    }
}

fn limit(file: &str, value: &str) -> Limit {
    Limit {
        file: file.to_owned(),
        value: value.to_owned(),
        spelled: String::new(),
    }
}

#[test]
fn a_limit_needs_the_controller_that_its_file_is_named_after() {
    assert_eq!(limit("memory.swap.max", "0").controller(), Some("memory"));
    assert_eq!(limit("io.max", "8:0 rbps=1").controller(), Some("io"));
    assert_eq!(limit("cgroup.max.depth", "1").controller(), None);
}

#[test]
fn a_limit_above_the_parents_has_no_effect() {
    for file in ["memory.max", "memory.high", "memory.swap.max", "pids.max"] {
        assert!(limit(file, "1025").exceeds("1024\n"), "{file}");
        assert!(!limit(file, "1024").exceeds("1024\n"), "{file}");
        assert!(!limit(file, "1025").exceeds("max\n"), "{file}");
        assert!(
            !limit(file, "max").exceeds("1024\n"),
            "who asks for no limit gets none: {file}"
        );
    }
    assert!(limit("cpu.max", "150000 100000").exceeds("100000 100000\n"));
    assert!(
        limit("cpu.max", "60000 100000").exceeds("5000 10000\n"),
        "by share, not by quota"
    );
    assert!(!limit("cpu.max", "50000 100000").exceeds("5000 10000\n"));
    assert!(!limit("cpu.max", "50000 100000").exceeds("max 10000\n"));
    assert!(!limit("cpu.max", "max").exceeds("5000 10000\n"));
    assert!(
        !limit("cpu.weight", "200").exceeds("100\n"),
        "a weight is among siblings"
    );
    assert!(!limit("memory.max", "1").exceeds("no number\n"));
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
        let own = limit("cpu.max", &format!("{quota} {period}"));
        let exceeds = own.exceeds(&format!("{quota_above} {period_above}\n"));
        let product = |quota: u64, period: u64| u128::from(quota) * u128::from(period);
        prop_assert_eq!(exceeds, product(quota, period_above) > product(quota_above, period));
    }
}
