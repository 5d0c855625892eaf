//! `docker run -it`, with a user at the terminal.

use std::fs::File;
use std::process::{Child, Command};

use super::Claim;
use super::container::{BARE, Container, Engine, eventually, images};
use crate::support::terminal::Terminal;
use crate::support::transcript::Transcript;

pub const CLAIMS: &[Claim] = &[
    (
        "docker::interactive_shell_has_job_control_and_warns_of_nothing",
        job_control,
    ),
    ("docker::ctrl_c_reaches_the_child_once", ctrl_c_once),
    (
        "docker::ctrl_c_cancels_and_starts_nothing_again",
        ctrl_c_cancels,
    ),
    (
        "docker::ctrl_z_without_a_shell_is_undone_and_said_so",
        ctrl_z,
    ),
    (
        "docker::terminal_goes_to_the_next_child_after_a_restart",
        restart,
    ),
];

/// A client of the engine on a terminal.
struct Session {
    container: Container,
    client: Child,
    terminal: Terminal,
    screen: Transcript,
}

impl Session {
    fn start(options: &[&str], words: &[&str]) -> Self {
        let container = Container::unstarted(&Engine::default());
        let (terminal, screen) = Terminal::open();
        let fixed = [
            "run",
            "--interactive",
            "--tty",
            "--network=none",
            "--name",
            &container.name,
        ];
        // Do not use `timeout`: the client itself must have the terminal.
        let mut command = Command::new("docker");
        command
            .args(fixed)
            .args(options)
            .arg(&images().servers)
            .args(words);
        let side = || {
            File::options()
                .read(true)
                .write(true)
                .open(terminal.path())
                .expect("the terminal's other side")
        };
        let client = command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("docker is there");
        Self {
            container,
            client,
            terminal,
            screen,
        }
    }

    /// Waits for the client's end. Returns its exit code and everything that was on the screen.
    fn end(mut self) -> (Option<i32>, String) {
        let client = &mut self.client;
        let status = eventually("the client's end", || {
            client.try_wait().expect("a child of this process")
        });
        (status.code(), self.screen.text())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- the screen of {}:\n{}",
                self.container.name,
                self.screen.text()
            );
        }
        // If all went well, the client is already gone.
        let _gone = self.client.kill();
        let _gone = self.client.wait();
    }
}

fn job_control() {
    for user in ["--user=0", "--user=12345"] {
        job_control_as(user);
    }
}

fn job_control_as(user: &str) {
    let mut session = Session::start(
        &[BARE, user, "--env=PS1=prompt> "],
        &["bash", "--norc", "-i"],
    );
    session.screen.wait_text("prompt> ");
    session.terminal.type_in("sleep 1000\r");
    let shell = session.container.child();
    foreground(&session.container, &shell);
    session.terminal.type_in("\x1a");
    session.screen.wait_line("Stopped");
    session.terminal.type_in("jobs; fg\r");
    session.screen.wait_line("Stopped");
    foreground(&session.container, &shell);
    session.terminal.type_in("\x03");
    session.screen.wait_text("prompt> ");
    session.terminal.type_in("exit 7\r");
    let (code, screen) = session.end();
    assert_eq!(code, Some(7), "{screen}");
    for warning in [
        "cannot set terminal process group",
        "no job control",
        "frigate:",
    ] {
        assert!(!screen.contains(warning), "{screen}");
    }
}

fn ctrl_c_once() {
    let mut session = Session::start(&[], &["./count-interrupts"]);
    session.screen.wait_line("ready");
    for line in ["interrupt 1", "interrupt 2"] {
        session.terminal.type_in("\x03");
        session.screen.wait_line(line);
    }
    assert_eq!(session.container.stop(), 0);
    let (code, screen) = session.end();
    assert!(
        code == Some(0) && screen.contains("2 in all"),
        "{code:?} {screen}"
    );
}

fn ctrl_c_cancels() {
    let mut session = Session::start(&[], &["sleep", "1000"]);
    session.container.child();
    foreground(&session.container, "1");
    session.terminal.type_in("\x03");
    let (code, screen) = session.end();
    assert_eq!(code, Some(130), "{screen}");
    assert!(
        !screen.contains("frigate:"),
        "a person's wish is no trouble: {screen}"
    );
}

/// Waits until a child of this process is in the terminal's foreground and runs. Keys that come
/// earlier do not reach the child.
fn foreground(container: &Container, parent: &str) {
    eventually("a child in the foreground", || {
        let states = container.try_exec(&["ps", "-o", "stat=", "--ppid", parent])?;
        (states.contains('+') && !states.contains('T')).then_some(())
    });
}

fn ctrl_z() {
    let script = "trap 'echo continued' CONT; echo ready; while :; do sleep 0.1; done";
    let mut session = Session::start(&[BARE], &["sh", "-c", script]);
    session.screen.wait_line("ready");
    foreground(&session.container, "1");
    session.terminal.type_in("\x1a");
    session.screen.wait_line("frigate: ");
    session.screen.wait_line("continued");
    assert_eq!(session.container.stop(), 143);
}

fn restart() {
    let mut session = Session::start(&["--env=PS1=prompt> "], &["bash", "--norc", "-i"]);
    session.screen.wait_text("prompt> ");
    session.terminal.type_in("kill -9 $$\r");
    session.screen.wait_line("frigate: ");
    session.screen.wait_text("prompt> ");
    // If the word were typed sooner, it would come while the shell still has the terminal in its
    // own mode.
    session
        .terminal
        .type_in("echo $((40 + 2)); read -r word; echo \"<$word>\"; exit 0\r");
    session.screen.wait_line("42");
    session.terminal.type_in("typed\r");
    session.screen.wait_line("<typed>");
    let (code, screen) = session.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(
        !screen.contains("cannot set terminal process group"),
        "{screen}"
    );
}
