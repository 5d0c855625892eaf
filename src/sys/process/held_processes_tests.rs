use super::{HeldProcesses, Procfs};
use crate::sys::startup::own_pid;

#[test]
fn this_process_is_never_one_of_the_others_of_its_name() {
    let own_pid = own_pid();
    let name = std::env::current_exe().ok();
    let name = name
        .as_deref()
        .and_then(std::path::Path::file_name)
        .map(std::ffi::OsStr::as_encoded_bytes);
    let (Some(own_pid), Some(name)) = (own_pid, name) else {
        unreachable!("a process has an id and a name")
    };
    assert!(
        Procfs::open(own_pid).is_ok_and(|procfs| procfs.has_name(own_pid, name, None)),
        "it has that name"
    );
    let others = HeldProcesses::find_namesakes(name, own_pid, None);
    assert!(others.is_ok_and(|others| others.held.iter().all(|(pid, _)| *pid != own_pid)));
}
