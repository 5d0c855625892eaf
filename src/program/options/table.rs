//! The table of options: their names, kinds and help. The parser, `--help` and the environment's
//! variables follow from it.
//!
//! `argh` makes the table. Its parser is not used: it does not know `--name=value`, words that are
//! not UTF-8, or that the options end at the command, and would be more than a tenth of the binary.

use argh::{ArgsInfo, FlagInfo, FlagInfoKind};

use crate::program::options::mode::Mode;

/// frigate: starts one command, forwards signals to it, reaps orphans, restarts it, and exits as it
/// did
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "only the table is made of it")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own, as it is typed"
)]
pub(crate) struct Options {
    /// when to start the command again: unexpected (on-failure), true (always), false (no, never);
    /// default: false
    #[argh(option, arg_name = "STRATEGY")]
    restart: Option<String>,
    /// what counts as expected: exit codes, which are numbers, and signals, which are names;
    /// default: 0
    #[argh(option, arg_name = "CODE,SIGNAL...")]
    expect: Option<String>,
    /// a command that stays up this long has started (0: no start ever fails); default: 10s
    #[argh(option, arg_name = "DURATION")]
    start_secs: Option<String>,
    /// failed starts in a row that are tried again; default: 3
    #[argh(option, arg_name = "N")]
    start_retries: Option<String>,
    /// first pause before another start; it doubles each time; default: 100ms
    #[argh(option, arg_name = "DURATION")]
    backoff: Option<String>,
    /// the longest pause; default: 60s
    #[argh(option, arg_name = "DURATION")]
    backoff_max: Option<String>,
    /// signals that stop the command and start it again at once; default: none
    #[argh(option, arg_name = "SIGNAL,...|none")]
    restart_on: Option<String>,
    /// when what PATH names changes, send the command this signal, or restart it (repeatable)
    #[argh(option, arg_name = "PATH=SIGNAL|restart")]
    watch: Vec<String>,
    /// before every start, end other processes of the command's name
    #[argh(switch)]
    grace_close: bool,
    /// how long these get before KILL; default: 30s
    #[argh(option, arg_name = "DURATION")]
    grace_close_wait: Option<String>,
    /// what the command's group is sent when frigate is asked to stop; default: as received
    #[argh(option, arg_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// signals by which frigate is asked to stop; default: TERM,INT,QUIT
    #[argh(option, arg_name = "SIGNAL,...|none")]
    stop_on: Option<String>,
    /// from a request to stop to the stop signal; a second request ends this delay; default: 0
    #[argh(option, arg_name = "DURATION")]
    stop_delay: Option<String>,
    /// from the stop signal to KILL; default: 30s with --restart, else none
    #[argh(option, arg_name = "DURATION|none")]
    grace: Option<String>,
    /// what the command leaves running gets this long from TERM to KILL; leave: frigate exits at
    /// once; default: 5s
    #[argh(option, arg_name = "DURATION|leave")]
    leftovers: Option<String>,
    /// stop by KILL at once, without a grace period
    #[argh(switch)]
    kill: bool,
    /// treat a received signal as another, or drop it: TO = 0 (repeatable)
    #[argh(option, arg_name = "FROM:TO")]
    rewrite: Vec<String>,
    /// send signals to the command alone, not to its group
    #[argh(switch)]
    single_child: bool,
    /// the signal frigate gets when its own parent dies
    #[argh(option, arg_name = "SIGNAL")]
    pdeathsig: Option<String>,
    /// exit with TO (0) where the code would have been FROM (repeatable)
    #[argh(option, arg_name = "FROM[:TO]")]
    remap_exit: Vec<String>,
    /// what is asked, again and again, whether the command is alive
    #[argh(option, arg_name = "TARGET")]
    health: Option<String>,
    /// from the end of one check to the next; default: 10s
    #[argh(option, arg_name = "DURATION")]
    health_interval: Option<String>,
    /// a check that takes longer has failed; default: 3s
    #[argh(option, arg_name = "DURATION")]
    health_timeout: Option<String>,
    /// failures in a row that make the command unhealthy: it is stopped and started again, or
    /// frigate ends; default: 3
    #[argh(option, arg_name = "N")]
    health_retries: Option<String>,
    /// from each start: failures do not count until the first success or the end of this; default:
    /// 30s
    #[argh(option, arg_name = "DURATION")]
    health_start: Option<String>,
    /// what an unhealthy command is sent; default: the stop signal, or TERM
    #[argh(option, arg_name = "SIGNAL")]
    health_signal: Option<String>,
    /// what is asked until the first success: then the command has started, and not before
    #[argh(option, arg_name = "TARGET")]
    ready: Option<String>,
    /// a command that is not ready by then is stopped: a failed start (0: no limit); default: 60s
    #[argh(option, arg_name = "DURATION")]
    ready_within: Option<String>,
    /// who the command runs as: names or numbers
    #[argh(option, arg_name = "USER[:GROUP]")]
    user: Option<String>,
    /// the command's root
    #[argh(option, arg_name = "DIR")]
    chroot: Option<String>,
    /// the command's working directory, inside its root
    #[argh(option, arg_name = "DIR")]
    workdir: Option<String>,
    /// the command and its children can gain no privileges by exec
    #[argh(switch)]
    no_new_privs: bool,
    /// the most memory its processes may hold, beyond which they are ended: 64K, 512M, 2G, or max
    #[argh(option, arg_name = "SIZE")]
    memory_max: Option<String>,
    /// the memory above which they are slowed down
    #[argh(option, arg_name = "SIZE")]
    memory_high: Option<String>,
    /// the most swap space they may hold
    #[argh(option, arg_name = "SIZE")]
    memory_swap_max: Option<String>,
    /// the most processor time: a number of CPUs, or microseconds of a period as the kernel takes
    /// them
    #[argh(option, arg_name = "CPUS|\"QUOTA PERIOD\"")]
    cpu_max: Option<String>,
    /// its share of processors that others want too, from 1 to 10000
    #[argh(option, arg_name = "N")]
    cpu_weight: Option<String>,
    /// the most processes and threads
    #[argh(option, arg_name = "N")]
    pids_max: Option<String>,
    /// any other file of its cgroup, such as io.max="8:0 rbps=1048576" (repeatable)
    #[argh(option, arg_name = "FILE=VALUE")]
    cgroup: Vec<String>,
    /// start without a limit that cannot be applied
    #[argh(switch)]
    cgroup_best_effort: bool,
    /// append the command's standard output to this file
    #[argh(option, arg_name = "FILE")]
    stdout: Option<String>,
    /// append its standard error to this file
    #[argh(option, arg_name = "FILE")]
    stderr: Option<String>,
    /// send its standard error where its standard output goes
    #[argh(switch)]
    redirect_stderr: bool,
    /// rotate such a file when it has this size; default: 0, never
    #[argh(option, arg_name = "SIZE")]
    log_max_bytes: Option<String>,
    /// rotated files that are kept, FILE.1 the newest; default: 0
    #[argh(option, arg_name = "N")]
    log_backups: Option<String>,
    /// where the last message goes if the exit code is not 0; default: /dev/termination-log where
    /// it is
    #[argh(option, arg_name = "PATH|none")]
    termination_log: Option<String>,
    /// how messages are written: text or json; default: text
    #[argh(option, arg_name = "FORMAT")]
    log_format: Option<String>,
    /// say more: starts, ends, signals; twice (-vv): reaped orphans too
    #[argh(switch, short = 'v')]
    verbose: u8,
    /// say errors only
    #[argh(switch, short = 'q')]
    quiet: bool,
    /// instead of a command: ask once whether a service is well, and exit with 0 or 1
    #[argh(option, arg_name = "TARGET")]
    probe: Option<String>,
    /// instead of a command: print how the command of PID 1 is, and exit with 0 if it is well
    #[argh(switch)]
    status: bool,
    /// instead of a command: send this signal to PID 1
    #[argh(option, arg_name = "SIGNAL")]
    signal: Option<String>,
    /// instead of a command: reap, and end with 0 when asked to stop
    #[argh(switch)]
    pause: bool,
    /// become the command, and do not supervise it: only its user, root, directory and privileges
    /// are set
    #[argh(switch)]
    exec: bool,
}

/// The headings of `--help`, each before the option that it names. README and man page have the same.
const HEADINGS: [(&str, &str); 7] = [
    ("restart", "Starting again"),
    ("stop-signal", "Stopping"),
    ("health", "Health"),
    ("user", "User and limits"),
    ("stdout", "Log files"),
    ("termination-log", "Messages"),
    ("probe", "Other modes"),
];

/// argh adds this option by itself.
pub(super) const HELP: &str = "--help";

/// Whether the option is read from the environment. What frigate does instead of running a command
/// is not: the variables of a container are for the frigate that is its PID 1.
pub(super) fn has_variable(flag: &FlagInfo<'static>) -> bool {
    let name = name_of(flag);
    flag.long != HELP && Mode::find(|mode| mode.name == name).is_none()
}

pub(crate) fn flags() -> &'static [FlagInfo<'static>] {
    Options::get_args_info().flags
}

/// Returns the option's name without the dashes.
pub(crate) fn name_of(flag: &FlagInfo<'static>) -> &'static str {
    flag.long.get("--".len()..).unwrap_or_default()
}

/// Returns whether the option counts how often it was given: `-vv`.
pub(super) fn is_counted(flag: &FlagInfo<'static>) -> bool {
    flag.short == Some('v')
}

/// Returns the text of `--help`.
// Not inlined: what every run executes has 750 bytes less (`tools/order.ld`).
#[inline(never)]
pub(crate) fn help() -> String {
    let info = Options::get_args_info();
    let mut text = String::from(
        "Usage: frigate [OPTIONS] [--] COMMAND [ARG...]\n       frigate --probe TARGET [--health-timeout DURATION]\n       frigate --status [--log-format FORMAT]\n       frigate --signal SIGNAL\n       frigate --pause [OPTIONS]\n       frigate --exec [OPTIONS] [--] COMMAND [ARG...]\n\n",
    );
    text.push_str(info.description);
    text.push_str(".\n");
    for flag in info.flags.iter().filter(|flag| flag.long != HELP) {
        let name = name_of(flag);
        for (_, heading) in HEADINGS.iter().filter(|(first, _)| *first == name) {
            text.extend(["\n", *heading, ":\n"]);
        }
        let mut left = String::from("  ");
        if let Some(short) = flag.short {
            left.extend(['-', short, ',', ' ']);
        }
        left.push_str(flag.long);
        if let FlagInfoKind::Option { arg_name } = &flag.kind {
            left.push(' ');
            left.push_str(arg_name);
        }
        text.push_str(&left);
        text.push_str("\n        ");
        text.push_str(flag.description);
        text.push('\n');
    }
    text.push_str(
        "  -h, --help\n        print this and exit\n\
         \x20 --version\n        print the version and exit\n\n\
         Each option is also read from the environment: FRIGATE_INIT_GRACE=5s is --grace 5s; the command line wins.\n\
         DURATION: 500ms, 10s, 2m, 1h; bare numbers are seconds. SIGNAL: TERM, SIGTERM, 15, RTMIN+3.\n\
         TARGET: http://HOST[:PORT][/PATH], tcp://HOST:PORT, unix:PATH, file:PATH, exec:WORDS, notify.\n\
         HOST is an address or localhost.\n\
         Exit: the command's code, 128+N if signal N ended it; 125 a mistake, 126 cannot be executed, 127 not found.\n",
    );
    text
}
