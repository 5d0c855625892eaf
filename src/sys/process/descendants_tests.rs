use super::{ProcessStat, descendants};
use crate::core::pid::Pid;

fn pid(number: i32) -> Pid {
    Pid::new(number).unwrap_or_else(|| unreachable!("a pid is above 0"))
}

fn child_of(parent: i32, number: i32) -> ProcessStat {
    ProcessStat {
        pid: pid(number),
        parent,
        group: 1,
        start_ticks: 1,
        is_zombie: false,
    }
}

fn numbers(found: &[ProcessStat]) -> Vec<i32> {
    let mut numbers: Vec<_> = found.iter().map(|process| process.pid.raw()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn descendants_are_found_through_every_generation() {
    let all = [
        (1, 2),
        (2, 3),
        (9, 4),
        (4, 9),
        (3, 5),
        (1, 6),
        (0, 1),
        (2, 7),
        (7, 8),
        (5, 1),
    ];
    let all: Vec<_> = all
        .iter()
        .map(|(parent, number)| child_of(*parent, *number))
        .collect();
    assert_eq!(
        numbers(&descendants(all.clone(), pid(2))),
        [1, 3, 5, 6, 7, 8]
    );
    assert_eq!(
        numbers(&descendants(all.clone(), pid(3))),
        [1, 2, 5, 6, 7, 8]
    );
    assert!(descendants(all.clone(), pid(8)).is_empty());
    // No /proc shows such a circle.
    assert!(!descendants(all, pid(9)).is_empty());
}

/// Each process is the child of the one with the next higher id. So each generation has one
/// process, and the list begins with the youngest.
#[test]
#[expect(clippy::disallowed_methods, reason = "measures the time it takes")]
fn a_long_line_of_descendants_is_found_in_little_time() {
    const COUNT: i32 = 200_000;
    let all = (2..COUNT)
        .map(|number| child_of(number + 1, number))
        .collect();
    let began = std::time::Instant::now();
    assert_eq!(descendants(all, pid(COUNT)).len(), 199_998);
    // What looks at every process for each generation would take minutes.
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
