//! Real servers behind the exact entrypoint. They come back after a crash, and each is stopped in
//! its own way.

use super::Claim;
use super::container::{BARE, Container, eventually};
use crate::support::note;

pub const CLAIMS: &[Claim] = &[
    (
        "docker::stop_ends_nginx_by_quit_and_exits_zero",
        nginx_stops,
    ),
    (
        "docker::request_under_way_is_answered_before_nginx_ends",
        nginx_finishes,
    ),
    (
        "docker::hup_makes_nginx_read_its_configuration_anew",
        nginx_reloads,
    ),
    (
        "docker::crashed_nginx_answers_again_in_spite_of_its_workers",
        nginx_crashes,
    ),
    ("docker::stop_lets_redis_save_and_exits_zero", redis_stops),
    ("docker::crashed_redis_answers_again", redis_crashes),
    (
        "docker::stop_shuts_postgresql_down_cleanly_and_exits_zero",
        postgresql_stops,
    ),
    (
        "docker::crashed_postgresql_answers_again_with_its_data",
        postgresql_crashes,
    ),
    (
        "docker::stop_ends_a_python_server_that_would_not_listen_as_pid_1",
        python_stops,
    ),
    (
        "docker::crashed_python_server_answers_again",
        python_crashes,
    ),
    (
        "docker::stop_lets_a_node_server_close_and_exits_zero",
        node_stops,
    ),
    ("docker::crashed_node_server_answers_again", node_crashes),
    (
        "docker::server_that_had_started_is_restarted_without_a_pause",
        started_server,
    ),
];

pub const NGINX: [&str; 3] = ["nginx", "-c", "/srv/nginx.conf"];
pub const REDIS: [&str; 3] = ["redis-server", "--dir", "/srv/redis"];
pub const POSTGRESQL: [&str; 5] = ["postgres", "-D", "/srv/postgresql", "-k", "/tmp"];
const PYTHON: [&str; 6] = [
    "python3",
    "-u",
    "-m",
    "http.server",
    "8080",
    "--directory=/usr/share",
];
pub const NODE: [&str; 2] = ["node", "server.js"];

/// The server refuses to run as root. INT stops it at once, even with clients.
const AS_POSTGRES: [&str; 2] = ["--user=postgres", "--stop-signal=INT"];

/// Starts a server and waits until it responds.
#[track_caller]
pub fn serve(options: &[&str], words: &[&str], question: &str) -> Container {
    let container = Container::start(options, words);
    eventually("the first answer", || {
        container
            .try_exec(&["sh", "-c", question])
            .filter(|answer| !answer.is_empty())
    });
    container
}

pub const HTTP: &str = "curl --silent --fail localhost:8080";
pub const REDIS_PING: &str = "redis-cli ping";
pub const SQL: &str =
    "psql --host=127.0.0.1 --username=postgres --tuples-only --command='select 1'";

/// Ends the protected child from outside, and prints how long its port did not respond.
#[track_caller]
fn crash(container: &Container, kind: &str, signals: &[&str]) {
    for (count, signal) in signals.iter().enumerate() {
        let child = container.child();
        let milliseconds = container.exec(&["./crash", signal, &child, kind]);
        note(format!(
            "docker: {kind} killed by {signal} answered again after {milliseconds} ms"
        ));
        assert_ne!(container.child(), child);
        let logs = container.logs();
        assert_eq!(
            logs.messages().len(),
            count + 1,
            "one line for each restart: {logs:#?}"
        );
    }
}

/// Stops a server, and checks that frigate reported nothing but the restarts before.
#[track_caller]
fn stop(container: &Container, code: i32, restarts: usize) {
    assert_eq!(container.stop(), code);
    let logs = container.logs();
    assert_eq!(logs.messages().len(), restarts, "{logs:#?}");
}

fn nginx_stops() {
    let container = serve(&["--stop-signal=QUIT"], &NGINX, HTTP);
    stop(&container, 0, 0);
    assert!(
        container.logs().err.contains("gracefully shutting down"),
        "{:#?}",
        container.logs()
    );

    // Do the same when the engine sends TERM, as Kubernetes does, and frigate sends the right
    // signal instead.
    let container = serve(
        &[BARE],
        &[&["--stop-signal=QUIT"], &NGINX[..]].concat(),
        HTTP,
    );
    stop(&container, 0, 0);
    assert!(
        container.logs().err.contains("gracefully shutting down"),
        "{:#?}",
        container.logs()
    );
}

fn nginx_finishes() {
    let container = serve(&["--stop-signal=QUIT"], &NGINX, HTTP);
    // The client runs in another container, because everything in nginx's own container ends when
    // nginx has ended.
    let network = format!("--network=container:{}", container.name);
    let fetch = "curl --silent --fail --output part localhost:8080/slow & \
                 while [ ! -s part ]; do sleep 0.05; done; echo begun; wait $! && cmp part /usr/sbin/nginx && echo whole";
    let client = Container::start(&["--entrypoint=bash", &network], &["-c", fetch]);
    client.wait_log("begun");
    stop(&container, 0, 0);
    assert_eq!(client.wait(), 0);
    assert_eq!(client.logs().out, "begun\nwhole\n");
}

fn nginx_reloads() {
    let container = serve(&[], &NGINX, HTTP);
    let master = container.child();
    container.exec(&["sed", "-i", "s/\"nginx /\"reloaded /", "nginx.conf"]);
    container.kill("HUP");
    eventually("an answer of the new configuration", || {
        container
            .try_exec(&["sh", "-c", HTTP])
            .filter(|answer| answer.starts_with("reloaded"))
    });
    assert_eq!(container.child(), master);
    stop(&container, 0, 0);
}

fn nginx_crashes() {
    let container = serve(&["--stop-signal=QUIT"], &NGINX, HTTP);
    crash(&container, "nginx", &["KILL", "SEGV"]);
    stop(&container, 0, 2);
}

fn redis_stops() {
    let container = serve(&[], &REDIS, REDIS_PING);
    container.exec(&["redis-cli", "set", "ship", "frigate"]);
    stop(&container, 0, 0);
    container.start_again();
    eventually("the value that was saved", || {
        container
            .try_exec(&["redis-cli", "get", "ship"])
            .filter(|value| value == "frigate")
    });
    stop(&container, 0, 0);
}

fn redis_crashes() {
    let container = serve(&[], &REDIS, REDIS_PING);
    crash(&container, "redis", &["KILL", "SEGV"]);
    stop(&container, 0, 2);
}

fn postgresql_stops() {
    let container = serve(&AS_POSTGRES, &POSTGRESQL, SQL);
    stop(&container, 0, 0);
    let logs = container.logs();
    assert!(
        logs.err.contains("database system is shut down"),
        "{logs:#?}"
    );
}

fn postgresql_crashes() {
    let container = serve(&AS_POSTGRES, &POSTGRESQL, SQL);
    let run = |statement: &str| {
        container.exec(&[
            "psql",
            "--host=127.0.0.1",
            "--username=postgres",
            "--tuples-only",
            "--command",
            statement,
        ])
    };
    run("create table ships (name text); insert into ships values ('frigate')");
    crash(&container, "postgresql", &["KILL", "SEGV"]);
    assert_eq!(run("select name from ships").trim(), "frigate");
    stop(&container, 0, 2);
}

fn python_stops() {
    // Python has no handler for TERM. As PID 1 it would not get the signal; here it dies from it.
    let container = serve(&[], &PYTHON, HTTP);
    stop(&container, 143, 0);
}

fn python_crashes() {
    let container = serve(&[], &PYTHON, HTTP);
    crash(&container, "http", &["KILL", "SEGV", "ABRT"]);
    stop(&container, 143, 3);
}

fn node_stops() {
    let container = serve(&[], &NODE, HTTP);
    stop(&container, 0, 0);
    assert!(
        container.logs().out.ends_with("closing\nclosed\n"),
        "{:#?}",
        container.logs()
    );
}

fn node_crashes() {
    let container = serve(&[], &NODE, HTTP);
    crash(&container, "http", &["KILL", "SEGV"]);
    stop(&container, 0, 2);
}

fn started_server() {
    let options = [
        "--restart=unexpected",
        "--start-secs=1s",
        "--backoff=1h",
        "--backoff-max=1h",
    ];
    let container = serve(&[BARE], &[&options[..], &PYTHON].concat(), HTTP);
    let child = container.child();
    // Only time can show whether a start has succeeded, but the exact length of this wait does not
    // matter.
    container.exec(&["sleep", "1.5"]);
    let milliseconds = container.exec(&["./crash", "KILL", &child, "http"]);
    note(format!(
        "docker: http killed by KILL after its start window answered again after {milliseconds} ms"
    ));
    assert_eq!(container.stop(), 143);
}
