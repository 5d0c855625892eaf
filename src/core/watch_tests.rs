use core::time::Duration;

use proptest::prelude::*;

use super::{FileKind, Identity, WatchedPath};
use crate::core::moment::Moment;
use crate::core::script::at_millis;

const FILE: Identity = Identity {
    kind: FileKind::Regular,
    device: 1,
    inode: 2,
    links: 1,
    size: 3,
    modified: (4, 5),
    changed: (6, 7),
};

const DIRECTORY: Identity = Identity {
    kind: FileKind::Directory,
    ..FILE
};

fn known(found: Option<Identity>) -> WatchedPath {
    let mut path = WatchedPath::default();
    path.begin(found);
    path
}

/// Notes events that are not about entries.
fn after_events(millis: &[u64]) -> WatchedPath {
    let mut path = known(Some(FILE));
    for &at in millis {
        path.note_event(false, at_millis(at));
    }
    path
}

#[test]
fn a_path_is_looked_at_when_it_was_quiet_for_half_a_second_or_after_five_seconds() {
    assert_eq!(after_events(&[]).deadline(), None);
    let table: [(&[u64], u64); 5] = [
        (&[0], 500),
        (&[0, 499], 999),
        (&[0, 400, 800, 1200], 1700),
        (&[0, 4499], 4999),
        (&[0, 4501, 4999], 5000),
    ];
    for (events, due) in table {
        let deadline = after_events(events).deadline();
        assert_eq!(deadline, Some(at_millis(due)), "{events:?}");
    }
}

#[test]
fn each_part_of_an_identity_shows_a_change() {
    let changes = [
        Identity { device: 9, ..FILE },
        Identity { inode: 9, ..FILE },
        Identity { links: 2, ..FILE },
        Identity { size: 9, ..FILE },
        Identity {
            modified: (4, 9),
            ..FILE
        },
        Identity {
            changed: (6, 9),
            ..FILE
        },
        DIRECTORY,
    ];
    for changed in changes {
        let mut path = known(Some(FILE));
        assert!(path.settle(Some(changed)), "{changed:?}");
        assert!(!path.settle(Some(changed)), "once: {changed:?}");
    }
    assert!(!known(Some(FILE)).settle(Some(FILE)));
}

#[test]
fn what_goes_is_no_change_and_what_comes_is_one_unless_it_is_the_same() {
    let mut path = known(Some(FILE));
    assert!(!path.settle(None));
    assert!(!path.settle(Some(FILE)));
    assert!(!path.settle(None));
    assert!(path.settle(Some(Identity { inode: 9, ..FILE })));
    assert!(known(None).settle(Some(FILE)));
    assert!(!known(None).settle(None));
}

#[test]
fn a_mounted_file_that_lost_its_last_name_outside_has_not_changed() {
    let unlinked = Identity {
        links: 0,
        changed: (6, 9),
        ..FILE
    };
    let mut path = known(Some(FILE));
    assert!(!path.settle(Some(unlinked)));
    assert!(!path.settle(Some(unlinked)));
    let written = Identity {
        modified: (7, 0),
        ..unlinked
    };
    assert!(path.settle(Some(written)));
    // Another file without a name is a change.
    assert!(known(Some(FILE)).settle(Some(Identity {
        inode: 9,
        ..unlinked
    })));
}

#[test]
fn an_event_in_the_directory_that_the_path_names_is_a_change_and_one_beside_a_file_is_none() {
    for (found, is_change) in [(DIRECTORY, true), (FILE, false)] {
        let mut path = known(Some(found));
        path.note_event(true, at_millis(0));
        assert_eq!(path.settle(Some(found)), is_change, "{found:?}");
        path.note_event(false, at_millis(1));
        assert!(!path.settle(Some(found)), "{found:?}");
    }
}

#[test]
fn writes_to_a_device_are_no_change() {
    let device = Identity {
        kind: FileKind::Other,
        ..FILE
    };
    let written = Identity {
        modified: (9, 9),
        changed: (9, 9),
        ..device
    };
    assert!(!known(Some(device)).settle(Some(written)));
    assert!(known(Some(device)).settle(Some(Identity { inode: 9, ..device })));
}

#[test]
fn a_start_forgets_what_happened_before_it() {
    let mut path = after_events(&[0]);
    path.note_event(true, at_millis(1));
    path.begin(Some(DIRECTORY));
    assert_eq!(path.deadline(), None);
    assert!(!path.settle(Some(DIRECTORY)));
}

proptest! {
    /// However events come, a change is acted on between half a second after an event and five
    /// seconds after the first, and as often as there are such times: never for nothing.
    #[test]
    fn every_event_is_acted_on_within_five_seconds_and_none_twice(
        gaps in prop::collection::vec(0_u64..7000, 1..200),
    ) {
        let mut path = known(None);
        let mut now = 0;
        let mut waiting: Option<u64> = None;
        for gap in gaps {
            let at = now + gap;
            if let Some(due) = path.deadline().filter(|due| *due <= at_millis(at)) {
                let first = waiting.take();
                prop_assert!(first.is_some());
                let wait = due.since(at_millis(first.unwrap_or_default()));
                prop_assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_secs(5));
                path.settle(None);
                prop_assert_eq!(path.deadline(), None);
            }
            path.note_event(false, at_millis(at));
            waiting.get_or_insert(at);
            prop_assert!(path.deadline() > Some(at_millis(at)) || at > waiting.unwrap_or_default());
            now = at;
        }
        prop_assert!(path.deadline() > None::<Moment>);
    }
}
