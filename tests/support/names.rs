//! Names of signals for the scripts and the output of the puppet, so that a reader finds names, not
//! numbers.

const NAMED: [(&str, i32); 29] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("SYS", libc::SIGSYS),
];

/// Returns the number of a signal that is given by name or number.
pub fn number(word: &str) -> i32 {
    let named = NAMED
        .iter()
        .find(|(name, _)| *name == word)
        .map(|&(_, number)| number);
    named
        .or_else(|| word.parse().ok())
        .unwrap_or_else(|| panic!("no such signal: {word}"))
}

/// Returns the name of a signal, or its number if it has no name here.
pub fn name(signal: i32) -> String {
    let named = NAMED.iter().find(|&&(_, number)| number == signal);
    named.map_or_else(|| signal.to_string(), |(name, _)| (*name).to_owned())
}
