//! Tests of what counts as news.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use notify::Config;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use notify::event::DataChange;
use notify::event::Flag;
use notify::event::MetadataKind;
use notify::event::RemoveKind;
use notify::event::RenameMode;

use super::*;
use crate::links::Route;

const CREATED: EventKind = EventKind::Create(CreateKind::File);
const OPENED: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
const CLOSED_AFTER_READING: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Read));
const PERMISSIONS: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
const MOVED_HERE: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
const MOVED_AWAY: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));
const REMOVED: EventKind = EventKind::Remove(RemoveKind::File);

/// Watches the file `/x/file` and the folder `/x/folder`.
fn events() -> Events {
    let file = Route {
        places: vec![PathBuf::from("/x/file")],
        ..Route::default()
    };
    let folder = Route {
        places: vec![PathBuf::from("/x/folder")],
        folder: Some(PathBuf::from("/x/folder")),
        ..Route::default()
    };
    let events = Events::default();
    events.set_places(Places::of([&file, &folder]));
    events
}

fn report(events: &Events, path: &str, kinds: &[EventKind]) {
    for kind in kinds {
        events.report(Ok(Event::new(*kind).add_path(PathBuf::from(path))), true);
    }
}

#[test]
fn only_changes_of_what_matters_are_news() {
    for (path, kind, expected) in [
        ("/x/file", CREATED, true),
        ("/x/file", WRITTEN, true),
        ("/x/file", CLOSED, true),
        ("/x/file", PERMISSIONS, true),
        ("/x/file", MOVED_HERE, true),
        ("/x/file", MOVED_AWAY, true),
        ("/x/file", REMOVED, true),
        ("/x/file", EventKind::Any, true),
        ("/x/file", OPENED, false),
        ("/x/file", CLOSED_AFTER_READING, false),
        ("/x/file", EventKind::Access(AccessKind::Read), false),
        ("/x/folder", OPENED, false),
        ("/x/other", WRITTEN, false),
        ("/x/folder/entry", CREATED, true),
        ("/x/folder/entry", MOVED_HERE, true),
        ("/x/folder/entry", MOVED_AWAY, true),
        ("/x/folder/entry", REMOVED, true),
        ("/x/folder/entry", WRITTEN, false),
        ("/x/folder/entry", CLOSED, false),
        ("/x/folder/entry", PERMISSIONS, false),
        ("/x/folder/.entry", CREATED, false),
        ("/x", PERMISSIONS, true),
        ("/x", MOVED_AWAY, true),
    ] {
        let events = events();
        report(&events, path, &[kind]);
        assert_eq!(events.take_any(), expected, "{path} {kind:?}");
        assert!(!events.take_any());
    }
}

#[test]
fn a_file_is_written_until_it_is_closed_replaced_or_removed() {
    for (kinds, expected) in [
        (&[WRITTEN][..], true),
        (&[WRITTEN, CLOSED], false),
        (&[WRITTEN, CLOSED, WRITTEN], true),
        (&[WRITTEN, CLOSED_AFTER_READING, OPENED], true),
        (&[WRITTEN, MOVED_AWAY], false),
        (&[WRITTEN, MOVED_HERE], false),
        (&[WRITTEN, REMOVED], false),
        (&[CREATED, OPENED], true),
        (&[CREATED], false),
        (&[OPENED], false),
        (&[PERMISSIONS], false),
    ] {
        for path in ["/x/file", "/x/folder/entry"] {
            let events = events();
            report(&events, path, kinds);
            let is_written = |name: &str| events.is_written(Instant::now(), |path| path == Path::new(name));
            assert_eq!(is_written(path), expected, "{path} {kinds:?}");
            assert!(!is_written("/x/other"));
        }
    }
}

#[test]
fn changes_are_reported_where_closing_is() {
    let events = events();
    report(&events, "/x/file", &[OPENED]);
    assert!(events.take().changed.is_empty());
    report(&events, "/x/file", &[WRITTEN]);
    assert_eq!(events.take().changed, HashSet::from([PathBuf::from("/x/file")]));
    assert!(events.take().changed.is_empty());
    let event = Event::new(WRITTEN).add_path(PathBuf::from("/x/file"));
    events.report(Ok(event), false);
    assert!(events.take_any());
    assert!(events.take().changed.is_empty());
}

#[test]
fn lost_folders_and_events_are_known() {
    let events = events();
    report(&events, "/x/file", &[REMOVED]);
    report(&events, "/x/folder", &[PERMISSIONS]);
    assert!(events.take().lost.folders.is_empty());
    report(&events, "/x/folder", &[MOVED_AWAY]);
    report(&events, "/x", &[REMOVED]);
    let lost = events.take().lost;
    assert_eq!(lost.folders, ["/x/folder", "/x"].map(PathBuf::from).into());
    assert!(!lost.is_all);
    events.report(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)), true);
    assert!(events.take_any());
    assert!(events.take().lost.is_all);
    events.report(Err(notify::Error::generic("broken")), true);
    assert!(events.take_any());
}

#[test]
fn the_number_of_reported_paths_is_bounded() {
    let events = events();
    for number in 0..2 * MOST_PATHS {
        report(&events, &format!("/x/folder/{number}"), &[CREATED]);
    }
    assert_eq!(events.take().changed.len(), MOST_PATHS);
}

/// The caller reads what it watches. If that woke it, it would read for ever.
#[tokio::test]
async fn reading_is_no_news() {
    let scene = tempfile::tempdir().unwrap();
    let root = scene.path().canonicalize().unwrap();
    let (file, folder) = (root.join("file"), root.join("folder"));
    let entry = folder.join("entry");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "content").unwrap();
    fs::write(&entry, "").unwrap();
    let events = Arc::new(Events::default());
    let places = Places::of(&[&file, &folder].map(|path| Route::of(path)));
    let reporter = Arc::clone(&events);
    let mut watcher = RecommendedWatcher::new(move |event| reporter.report(event, true), Config::default()).unwrap();
    for folder in places.folders() {
        watcher.watch(folder, RecursiveMode::NonRecursive).unwrap();
    }
    events.set_places(places);
    for _ in 0..1000 {
        assert_eq!(fs::read(&file).unwrap(), b"content");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
    // Events come in their order. This change doesn't wake anybody either, but it is kept.
    fs::write(&entry, "written").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !events.state().news.changed.contains(&entry) {
        assert!(Instant::now() < deadline, "the change was not reported");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!events.take_any());
    assert_eq!(events.take().changed, HashSet::from([entry]));
}
