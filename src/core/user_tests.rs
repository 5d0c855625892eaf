#![expect(
    clippy::unwrap_used,
    reason = "a test says that it failed by panicking"
)]

use proptest::prelude::*;

use super::{Account, Identity, UserSpec};

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
    # a comment: is nobody\n\
    app:x:1000:100:An App,,,:/home/app:/bin/sh\n\
    0day:x:1001:1001::/home/0day:/bin/sh\n\
    homeless:x:1002:1002:::\n\
    short:x:1003\n\
    bad:x:minus:1:::\n\
    app:x:6666:6666::/home/second:/bin/sh\n";

const GROUPS: &[u8] =
    b"root:x:0:\nusers:x:100:app\nstaff:x:50:root,app\naudio:x:29:application,xapp\nvideo:x:44:app\nlast:x:70:app";

fn resolve(text: &str) -> Result<Identity, String> {
    UserSpec::parse(text).unwrap().resolve(PASSWD, GROUPS)
}

fn account(name: &str, home: &str) -> Account {
    let name = (!name.is_empty()).then(|| name.as_bytes().to_vec());
    Account {
        name,
        home: home.as_bytes().to_vec(),
    }
}

#[test]
fn every_form_of_gosu_is_resolved() {
    let all = Some(vec![100, 50, 44, 70]);
    let app = Some(account("app", "/home/app"));
    let table = [
        // A name brings its primary group and all that list it as a member.
        ("app", Some(1000), Some(100), all.clone(), app.clone()),
        ("1000", Some(1000), Some(100), all.clone(), app.clone()),
        (
            "root",
            Some(0),
            Some(0),
            Some(vec![0, 50]),
            Some(account("root", "/root")),
        ),
        // With a group, that group alone.
        (
            "app:staff",
            Some(1000),
            Some(50),
            Some(vec![50]),
            app.clone(),
        ),
        ("app:7", Some(1000), Some(7), Some(vec![7]), app.clone()),
        (
            "1000:staff",
            Some(1000),
            Some(50),
            Some(vec![50]),
            app.clone(),
        ),
        (
            "4242:4343",
            Some(4242),
            Some(4343),
            Some(vec![4343]),
            Some(account("", "/")),
        ),
        // Without a group behind it the colon says nothing: a variable may have been empty.
        ("app:", Some(1000), Some(100), all.clone(), app.clone()),
        ("1000:", Some(1000), Some(100), all, app),
        // Without a user, frigate's stays.
        (":staff", None, Some(50), Some(vec![50]), None),
        (":7", None, Some(7), Some(vec![7]), None),
        // Digits make a number only if there is no other character.
        (
            "0day",
            Some(1001),
            Some(1001),
            Some(vec![1001]),
            Some(account("0day", "/home/0day")),
        ),
        (
            "homeless",
            Some(1002),
            Some(1002),
            Some(vec![1002]),
            Some(account("homeless", "/")),
        ),
    ];
    for (text, uid, gid, groups, account) in table {
        assert_eq!(
            resolve(text),
            Ok(Identity {
                uid,
                gid,
                groups,
                account
            }),
            "{text}"
        );
    }
}

#[test]
fn what_is_not_in_the_files_is_refused_with_a_remedy() {
    for (text, expected) in [
        ("nobody", "there is no user 'nobody'"),
        ("short", "there is no user 'short'"),
        ("bad", "there is no user 'bad'"),
        ("# a comment", "there is no user"),
        ("app:nogroup", "there is no group 'nogroup'"),
        (":nogroup", "there is no group 'nogroup'"),
        // gosu would leave such a process in root's group.
        ("4242", "give UID:GID"),
        ("4242:", "give UID:GID"),
    ] {
        let refusal = resolve(text).unwrap_err();
        assert!(refusal.contains(expected), "{text}: {refusal}");
    }
}

#[test]
fn without_the_files_numbers_do() {
    let resolve = |text| UserSpec::parse(text).unwrap().resolve(b"", b"");
    assert_eq!(
        resolve("12:34").map(|identity| (identity.uid, identity.gid)),
        Ok((Some(12), Some(34)))
    );
    assert!(resolve("12").is_err() && resolve("12:").is_err() && resolve("app").is_err());
}

#[test]
fn what_is_no_user_is_not_read() {
    for text in [
        "",
        ":",
        "::",
        "4294967295",
        "4294967295:",
        "1:4294967295",
        "99999999999",
        "a:b:c",
        "a\nb",
        "app:a\nb",
        "a\0b",
    ] {
        assert_eq!(UserSpec::parse(text), None, "{text:?}");
    }
    assert!(UserSpec::parse("4294967294:4294967294").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_and_no_value_make_it_panic(
        text in "[a-c0-2:]{0,6}",
        passwd in prop::collection::vec(prop::sample::select(b"ab01:,\n\xff".to_vec()), 0..80),
        groups in prop::collection::vec(prop::sample::select(b"ab01:,\n\xff".to_vec()), 0..80),
    ) {
        let resolved = UserSpec::parse(&text).map(|spec| spec.resolve(&passwd, &groups));
        if let Some(Ok(identity)) = resolved {
            // If the group changes, all groups change, so that no membership of frigate's is left
            // by mistake.
            prop_assert_eq!(identity.gid.is_some(), identity.groups.is_some());
            prop_assert!(identity.gid.is_none_or(|gid| identity.groups.is_some_and(|all| all.contains(&gid))));
        }
    }
}
