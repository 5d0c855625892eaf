//! `--stop-delay` behind a proxy that goes on to send connections for a while.

use std::thread;

use super::Claim;
use super::container::{BARE, Container, eventually};
use super::examples::words_of_pod;
use crate::support::note;

pub const CLAIMS: &[Claim] = &[(
    "docker::stop_after_a_delay_loses_no_request_and_without_it_does",
    stop_under_load,
)];

/// A server of the proxy: nginx at another port, in the proxy's network.
fn server(proxy: &Container, port: u16, options: &[&str]) -> Container {
    let network = format!("--network=container:{}", proxy.name);
    let start =
        format!("sed s/8080/{port}/ nginx.conf >/tmp/nginx.conf && exec nginx -c /tmp/nginx.conf");
    let words = [options, &["--", "sh", "-c", &start]].concat();
    Container::start(&[BARE, &network], &words)
}

/// Returns how many requests a report of `ab` calls lost: those without an answer, and those that
/// the proxy had to answer with an error.
fn lost(report: &str) -> u64 {
    let count = |name: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.trim().parse().expect("a count"))
    };
    assert!(count("Complete requests:") > 1000, "{report}");
    count("Failed requests:") + count("Non-2xx responses:")
}

/// Stops one of two servers under load. Returns how many requests were lost.
fn stop_one(options: &[&str]) -> u64 {
    let proxy = Container::start(&[BARE], &["--", "haproxy", "-f", "haproxy.cfg"]);
    let _stays = server(&proxy, 8081, options);
    let goes = server(&proxy, 8082, options);
    for port in [8081, 8082, 8000] {
        let url = format!("localhost:{port}");
        eventually("the first answer", || {
            proxy.try_exec(&["curl", "--silent", "--fail", &url])
        });
    }
    let served = |server: &str| -> u64 {
        let count = proxy.exec(&["./proxy", "served", server]);
        count.parse().expect("a count")
    };
    let wait_for_more = |server: &str, count: u64| {
        let enough = served(server) + count;
        eventually("more requests", || (served(server) >= enough).then_some(()));
    };

    let load = "ab -l -r -q -c 16 -n 1000000 http://127.0.0.1:8000/ >/tmp/report 2>&1";
    proxy.exec_detached(&[], &["sh", "-c", load]);
    wait_for_more("b", 200);
    // Kubernetes does the same: it tells the proxies and the container at one moment.
    proxy.exec_detached(&[], &["./proxy", "leave", "b"]);
    proxy.wait_log("was told of b");
    let code = thread::scope(|scope| {
        let stop = scope.spawn(|| goes.stop());
        proxy.wait_log("sends nothing more to b");
        stop.join().expect("docker stop")
    });
    assert_eq!(code, 0, "{:#?}", goes.logs());
    wait_for_more("a", 500);
    proxy.exec(&["sh", "-c", "kill -INT $(pidof ab)"]);
    let report = eventually("the report", || {
        let report = proxy.exec(&["cat", "/tmp/report"]);
        report.contains("Total:").then_some(report)
    });
    lost(&report)
}

fn stop_under_load() {
    // The options of the example, with and without the delay. The proxy needs two seconds.
    let words = words_of_pod("draining/deployment.yaml");
    let (program, options) = words.split_first().expect("a command");
    assert_eq!(program, "frigate");
    let without: Vec<&str> = options
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with("--stop-delay=") && *word != "--")
        .collect();
    assert_eq!(
        without.len() + 2,
        options.len(),
        "a delay and the end of the options: {words:?}"
    );
    let with = [&without[..], &["--stop-delay=3s"]].concat();
    assert_eq!(stop_one(&with), 0);
    let lost = stop_one(&without);
    note(format!(
        "docker: a stop under 400 requests a second loses {lost} of them, and none with --stop-delay=3s"
    ));
    assert!(lost > 0, "the delay makes no difference");
}
