use super::Procfs;
use crate::core::pid::Pid;
use crate::sys::startup::own_pid;

/// Reads the kernel's own line, which an example cannot replace: this process, as `/proc` shows it.
#[test]
fn this_process_sees_itself_in_proc() {
    let own_pid = own_pid();
    let seen = own_pid
        .and_then(|own_pid| Procfs::open(own_pid).ok())
        .and_then(|procfs| procfs.read_stat(own_pid?));
    assert_eq!(seen.map(|process| process.pid), own_pid);
    let parent = i32::try_from(std::os::unix::process::parent_id()).ok();
    assert_eq!(seen.map(|process| process.parent), parent);
    assert!(seen.is_some_and(|process| process.start_ticks > 0));
}

#[test]
fn a_proc_of_other_numbers_is_refused() {
    let other_pid = own_pid().and_then(|own_pid| Pid::new(own_pid.raw() + 1));
    assert!(other_pid.is_some_and(|pid| Procfs::open(pid).is_err()));
}
