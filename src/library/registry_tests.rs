use super::*;

/// Returns whether `done` would still know the child.
fn is_listed(child: &Arc<SharedState>) -> bool {
    lock(&REGISTRY)
        .iter()
        .any(|other| Arc::ptr_eq(other, child))
}

fn child(name: &str) -> Arc<SharedState> {
    Arc::new(SharedState::new(name))
}

fn ended() -> State {
    State::Ended(Outcome::Cancel { last: None })
}

#[test]
fn a_name_is_taken_until_its_child_has_ended() {
    let (first, second) = (child("registry: name"), child("registry: name"));
    assert_eq!(add(&first), Some(State::NotProtected));
    assert_eq!(add(&second), None);
    first.set_state(State::Started(None));
    assert_eq!(add(&second), None);
    assert_eq!(second.state(), State::NotProtected);
    first.set_state(ended());
    assert_eq!(add(&second), Some(State::NotProtected));
    assert!(is_listed(&second) && !is_listed(&first));
    drop_handle(&second);
}

#[test]
fn a_refused_start_leaves_the_child_as_it_was() {
    let child = child("registry: refused");
    let former = add(&child).unwrap_or(State::NotStarted);
    restore(&child, former);
    assert_eq!(child.state(), State::NotProtected);
    assert!(!is_listed(&child));

    assert!(add(&child).is_some());
    child.set_state(ended());
    let former = add(&child).unwrap_or(State::NotStarted);
    assert_eq!(child.state(), State::NotStarted);
    restore(&child, former);
    assert_eq!(child.state(), ended());
    assert!(is_listed(&child));
    drop_handle(&child);
}

#[test]
fn without_its_handle_only_a_started_child_stays() {
    for (state, stays) in [
        (State::NotStarted, false),
        (State::Started(None), true),
        (ended(), false),
    ] {
        let child = child("registry: handle");
        add(&child);
        child.set_state(state.clone());
        drop_handle(&child);
        assert_eq!(is_listed(&child), stays, "{state:?}");
        lock(&REGISTRY).retain(|other| !Arc::ptr_eq(other, &child));
    }
}
