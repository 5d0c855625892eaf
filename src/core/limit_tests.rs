use super::*;

#[test]
fn a_default_is_a_value_of_its_file() {
    for file in &LIMIT_FILES {
        let parsed = file.quantity.parse(file.default);
        assert_eq!(parsed.as_deref(), Some(file.default), "{}", file.name);
        assert_eq!(LimitFile::with_name(file.name), Some(file));
        assert_eq!(file.option, file.name.replace('.', "-"));
    }
    assert_eq!(LimitFile::with_name("io.max"), None);
}

#[test]
fn any_file_but_frigates_own_can_be_assigned() {
    let read = |text| parse_assignment(text).map(|(file, value)| (file + "|") + &value);
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
        assert_eq!(parse_assignment(wrong), None, "{wrong}");
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
