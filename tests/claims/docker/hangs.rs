//! Real servers that hang. They run, but they answer nothing: frigate finds that, and starts them
//! again.

use super::Claim;
use super::container::{BARE, Container, eventually};
use super::servers::{HTTP, NGINX, NODE, POSTGRESQL, REDIS, REDIS_PING, SQL, serve};
use crate::support::note;

pub const CLAIMS: &[Claim] = &[
    (
        "docker::nginx_whose_workers_are_stopped_is_restarted",
        nginx_workers,
    ),
    (
        "docker::nginx_whose_packets_are_lost_is_restarted",
        nginx_packets,
    ),
    (
        "docker::python_server_that_hangs_says_where_and_serves_again",
        python,
    ),
    (
        "docker::node_server_that_cannot_handle_term_is_killed_and_serves_again",
        node,
    ),
    (
        "docker::postgresql_that_hangs_below_a_script_is_restarted",
        postgresql,
    ),
    (
        "docker::redis_that_hangs_still_accepts_and_is_found_by_a_ping",
        redis,
    ),
    (
        "docker::php_fpm_whose_master_hangs_falls_silent_and_serves_again",
        php_fpm,
    ),
    (
        "docker::thousand_checks_at_loopback_do_not_make_mariadb_block_a_host",
        mariadb,
    ),
    (
        "docker::paused_container_finds_its_server_healthy",
        paused_container,
    ),
];

/// Options that find a hang soon. A busy machine may still answer late, twice in a row.
const SOON: [&str; 6] = [
    "--restart=unexpected",
    "--health-interval=200ms",
    "--health-timeout=1s",
    "--health-retries=3",
    "--grace=1s",
    "--backoff=1ms",
];

/// The longest time from a hang to the next answer: three intervals and timeouts, the grace period,
/// and what a busy machine takes to start a server.
const BOUND: f64 = 3.0 * (200.0 + 1000.0) + 1000.0 + 30_000.0;

/// Starts a server that is checked, and waits until it has answered a check.
#[track_caller]
fn watch(engine: &[&str], options: &[&str], words: &[&str], question: &str) -> Container {
    let engine = [&[BARE], engine].concat();
    let words = [&SOON, options, &["-v", "--"], words].concat();
    let container = serve(&engine, &words, question);
    container.wait_log("is healthy");
    container
}

/// Makes a server hang, and waits for the next answer. Prints how long that took. Checks that
/// frigate found it unhealthy once, for this reason.
#[track_caller]
fn hang(container: &Container, way: &str, pid: &str, kind: &str, reason: &str) {
    let child = container.child();
    let milliseconds = container.exec(&["./crash", way, pid, kind]);
    note(format!(
        "docker: {kind}, {way}: answered again {milliseconds} ms after it hung"
    ));
    let took: f64 = milliseconds.parse().expect("a number");
    assert!(took < BOUND, "{took} ms");
    assert_ne!(container.child(), child);
    let logs = container.logs();
    let unhealthy: Vec<&str> = logs
        .messages()
        .into_iter()
        .filter(|line| line.contains("is unhealthy"))
        .collect();
    assert!(
        unhealthy.len() == 1 && unhealthy[0].contains(reason) && unhealthy[0].contains("3 times"),
        "{logs:#?}"
    );
    assert_eq!(
        logs.err.matches("; starting it again").count(),
        1,
        "{logs:#?}"
    );
}

const TIMEOUT: &str = "no answer within 1 s";

fn nginx_workers() {
    let options = ["--health=http://127.0.0.1:8080/", "--stop-signal=QUIT"];
    let container = watch(&[], &options, &NGINX, HTTP);
    // The master, which is frigate's child, goes on.
    hang(
        &container,
        "stop-children",
        &container.child(),
        "nginx",
        TIMEOUT,
    );
    assert_eq!(container.stop(), 0);
}

fn nginx_packets() {
    let options = ["--health=http://127.0.0.1:8080/", "--stop-signal=QUIT"];
    let container = watch(&["--cap-add=NET_ADMIN"], &options, &NGINX, HTTP);
    hang(
        &container,
        "drop-packets",
        &container.child(),
        "nginx",
        TIMEOUT,
    );
    assert_eq!(container.stop(), 0);
}

fn python() {
    let container = watch(
        &[],
        &[
            "--health=http://127.0.0.1:8080/",
            "--health-signal=ABRT",
            "--stop-signal=TERM",
        ],
        &["python3", "-X", "faulthandler", "server.py"],
        HTTP,
    );
    hang(&container, "block", &container.child(), "http", TIMEOUT);
    let logs = container.logs();
    let dump = logs.err.split("Fatal Python error: Aborted").nth(1);
    let dump = dump.unwrap_or_else(|| panic!("no stack dump: {logs:#?}"));
    assert!(dump.contains("server.py\", line"), "{dump}");
    let (innermost, caller) = (dump.find("in endless_query"), dump.find("in answer"));
    assert!(
        innermost.is_some() && innermost < caller,
        "the innermost call comes first: {dump}"
    );
    assert!(dump.contains("; starting it again"), "{dump}");
    assert_eq!(container.stop(), 143);
}

fn node() {
    // Its loop would run the handler of TERM.
    let options = ["--health=http://localhost:8080/"];
    let container = watch(&[], &options, &NODE, HTTP);
    hang(&container, "block", &container.child(), "http", TIMEOUT);
    let logs = container.logs();
    assert!(
        logs.err
            .contains("did not end within 1 s of the stop signal; sent KILL"),
        "{logs:#?}"
    );
    assert_eq!(container.stop(), 0);
}

fn postgresql() {
    // The check runs as the server's user. The script is frigate's child: frigate does not know that
    // the server below it is stopped, as it would know of the child itself.
    let script = [POSTGRESQL.join(" "), String::from("exit $?")].join("; ");
    let container = watch(
        &[],
        &[
            "--health=exec:pg_isready -q -h /tmp",
            "--user=postgres",
            "--stop-signal=INT",
        ],
        &["sh", "-c", &script],
        SQL,
    );
    let server = container.exec(&["ps", "-o", "pid=", "--ppid", &container.child()]);
    hang(&container, "STOP", server.trim(), "postgresql", TIMEOUT);
    container.stop();
    let logs = container.logs();
    assert!(
        logs.err.matches("database system is shut down").count() >= 2,
        "both were shut down cleanly: {logs:#?}"
    );
}

fn redis() {
    let words = [
        &REDIS[..],
        &["--unixsocket", "/tmp/redis", "--busy-reply-threshold", "0"],
    ]
    .concat();
    // Hold a server that no check finds. The kernel accepts for it.
    let bare = ["--health=tcp://127.0.0.1:6379"];
    let container = watch(&[], &bare, &words, REDIS_PING);
    let child = container.child();
    let endless = "timeout 1 redis-cli eval 'while true do end' 0; true";
    container.exec(&["sh", "-c", endless]);
    let probe = |target: &str| {
        let target = format!("--probe={target}");
        container
            .try_exec(&["frigate", &target, "--health-timeout=1s"])
            .is_some()
    };
    for _ in 0..5 {
        assert!(probe("tcp://127.0.0.1:6379") && probe("unix:/tmp/redis"));
    }
    assert!(!probe("exec:redis-cli ping"));
    assert_eq!(container.child(), child);
    assert!(!container.logs().err.contains("is unhealthy"));
    drop(container);

    let container = watch(&[], &["--health=exec:redis-cli ping"], &words, REDIS_PING);
    hang(
        &container,
        "endless-script",
        &container.child(),
        "redis",
        TIMEOUT,
    );
    assert_eq!(container.stop(), 0);
}

fn php_fpm() {
    // php-fpm says READY=1, and then WATCHDOG=1 twice in each interval.
    let container = Container::start(
        &[BARE],
        &[
            "--restart=unexpected",
            "--ready=notify",
            "--health=notify",
            "--health-interval=8s",
            "--backoff=1ms",
            "-v",
            "--",
            "php-fpm",
            "--nodaemonize",
            "--fpm-config=/srv/php-fpm.conf",
        ],
    );
    container.wait_log("is healthy");
    let child = container.child();
    let milliseconds = container.exec(&["./crash", "block-log", &child, "php-fpm"]);
    note(format!(
        "docker: php-fpm, block-log: answered again {milliseconds} ms after it hung"
    ));
    let took: f64 = milliseconds.parse().expect("a number");
    assert!(took < BOUND, "{took} ms");
    assert_ne!(container.child(), child);
    let logs = container.logs();
    let count = |text: &str| logs.err.matches(text).count();
    let silent = "is unhealthy: 'notify': no WATCHDOG=1 within 8 s; sent TERM";
    let counts = [silent, "; starting it again", "Ready to handle connections"].map(count);
    assert_eq!(counts, [1, 1, 2], "{logs:#?}");
    assert_eq!(container.stop(), 0);
}

fn mariadb() {
    // An address that is not a loopback address, and a name for it that needs no server of names.
    // MariaDB counts nothing that comes from a loopback address.
    const ADDRESS: &str = "10.9.8.7";
    let options = [
        BARE,
        "--cap-add=NET_ADMIN",
        &format!("--add-host=database.test:{ADDRESS}"),
    ];
    let container = Container::start(&options, &["--health=tcp://127.0.0.1:3306", "./mariadb"]);
    let assign = format!("busybox ip addr add {ADDRESS}/32 dev lo");
    container.exec(&["sh", "-c", &assign]);
    let client = |address: &str| {
        let host = format!("--host={address}");
        let query = [
            "mariadb",
            "--no-defaults",
            "--user=test",
            &host,
            "--execute=SELECT 1",
        ];
        container.try_exec(&query).is_some()
    };
    eventually("the first answer", || client(ADDRESS).then_some(()));
    // Prints how many of the checks succeeded.
    let probe = |count: u32, target: &str| {
        let script = format!(
            "i=0; n=0; while [ $i -lt {count} ]; do i=$((i + 1)); \
             frigate --probe='{target}' && n=$((n + 1)); done; echo $n"
        );
        container.exec(&["sh", "-c", &script])
    };
    assert_eq!(probe(1000, "tcp://127.0.0.1:3306"), "1000");
    assert!(client("127.0.0.1") && client(ADDRESS));
    // From elsewhere, what ends before the login is counted, however it ends, until a client of the
    // same address logs in. max_connect_errors is 100. Only this address is blocked.
    assert_eq!(probe(90, &format!("tcp://{ADDRESS}:3306")), "90");
    let login =
        format!("exec:mariadb --no-defaults --user=test --host={ADDRESS} --execute=\"SELECT 1\"");
    assert_eq!(probe(20, &login), "20");
    assert_eq!(probe(90, &format!("tcp://{ADDRESS}:3306")), "90");
    assert!(client(ADDRESS));
    assert_eq!(probe(150, &format!("tcp://{ADDRESS}:3306")), "150");
    assert!(!client(ADDRESS) && client("127.0.0.1"));
    container.stop();
}

fn paused_container() {
    let options = ["--health=http://127.0.0.1:8080/"];
    let container = watch(&[], &options, &NGINX, HTTP);
    let child = container.child();
    container.pause();
    // Longer than it takes to find a server that hangs. Nothing else can show that it is not found.
    std::thread::sleep(std::time::Duration::from_secs(5));
    container.unpause();
    for _ in 0..20 {
        container.exec(&["sh", "-c", HTTP]);
    }
    assert_eq!(container.child(), child);
    let logs = container.logs();
    assert!(!logs.err.contains("unhealthy"), "{logs:#?}");
    assert_eq!(container.stop(), 0);
}
