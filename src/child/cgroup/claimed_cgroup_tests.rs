use super::*;

#[test]
fn a_cgroup_is_named_after_the_command() {
    let table: [(&[u8], &str); 8] = [
        (b"redis-server", "redis-server"),
        (b"/usr/sbin/nginx", "nginx"),
        (b"./a b\nc", "a_b_c"),
        (b"..", "command"),
        (b"", "command"),
        (b"dir/", "command"),
        (b"\xff", "_"),
        (b".hidden", "hidden"),
    ];
    for (command, name) in table {
        assert_eq!(cgroup_name(command), name);
    }
    assert_eq!(cgroup_name(&[b'x'; 300]).len(), 64);
}
