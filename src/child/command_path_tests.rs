use proptest::prelude::*;

use super::{DEFAULT_SEARCH_PATH, candidate_paths};

fn strings(command: &str, path: Option<&str>) -> Vec<String> {
    let found = candidate_paths(command.as_bytes(), path.map(str::as_bytes));
    found
        .iter()
        .map(|candidate| candidate.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_command_is_looked_for_in_each_directory_of_path_in_order() {
    let table: [(&str, &[&str]); 9] = [
        ("/bin", &["/bin/sh"]),
        ("/usr/bin:/bin", &["/usr/bin/sh", "/bin/sh"]),
        ("relative:.", &["relative/sh", "./sh"]),
        ("/with/slash/:/", &["/with/slash//sh", "//sh"]),
        // An empty directory is the current one, wherever it stands (execvp(3)).
        ("", &["sh"]),
        (":/bin", &["sh", "/bin/sh"]),
        ("/bin:", &["/bin/sh", "sh"]),
        ("/usr/bin::/bin", &["/usr/bin/sh", "sh", "/bin/sh"]),
        ("/a dir:/ä", &["/a dir/sh", "/ä/sh"]),
    ];
    for (path, expected) in table {
        assert_eq!(strings("sh", Some(path)), expected, "PATH={path}");
    }
}

#[test]
fn without_a_path_the_usual_directories_are_searched() {
    let expected = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    assert_eq!(
        strings("sh", None),
        expected.map(|directory| format!("{directory}/sh"))
    );
    assert_eq!(
        candidate_paths(b"sh", None),
        candidate_paths(b"sh", Some(DEFAULT_SEARCH_PATH))
    );
}

#[test]
fn a_command_with_a_slash_is_itself_and_nothing_else() {
    for command in ["/bin/sh", "./sh", "../sh", "dir/sh", "/", "sh/"] {
        for path in [None, Some("/usr/bin:/bin"), Some("")] {
            assert_eq!(strings(command, path), [command], "{path:?}");
        }
    }
}

#[test]
fn an_empty_command_is_nowhere() {
    for path in [None, Some("/usr/bin:/bin"), Some("")] {
        assert_eq!(strings("", path), [""; 0], "{path:?}");
    }
}

#[test]
fn dots_and_dashes_are_names_like_others() {
    for command in [".", "..", "-", "--", "a b", "*"] {
        assert_eq!(strings(command, Some("/bin")), [format!("/bin/{command}")]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Names and directories are bytes. No byte is lost, and only the slash between them is added.
    #[test]
    fn bytes_that_are_no_text_are_kept(
        command in prop::collection::vec(1..=255_u8, 1..20),
        directories in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..20), 1..6),
    ) {
        let path = directories.join(&b':');
        let found: Vec<Vec<u8>> = candidate_paths(&command, Some(&path)).iter().map(|file| file.to_bytes().to_vec()).collect();
        if command.contains(&b'/') {
            prop_assert_eq!(found, [command]);
        } else {
            let expected: Vec<Vec<u8>> = path
                .split(|byte| *byte == b':')
                .map(|directory| if directory.is_empty() { command.clone() } else { [directory, &command].join(&b'/') })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
