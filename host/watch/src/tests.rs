//! Tests of watching with real files: by events alone, and by polling alone.

mod changes;
mod scene;

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use notify::Event;
use notify::EventKind;
use notify::event::Flag;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::scene::BOTH;
use self::scene::By;
use self::scene::Scene;
use self::scene::within_deadline;
use super::*;

#[tokio::test]
async fn what_is_none_of_our_business_is_no_change() {
    let acts: &[fn(&Path)] = &[
        |root| fs::write(root.join("folder/.hidden"), "").unwrap(),
        |root| fs::write(root.join("folder/entry"), "changed").unwrap(),
        |root| fs::write(root.join("other"), "").unwrap(),
        |root| {
            fs::write(root.join("folder/temporary"), "").unwrap();
            fs::remove_file(root.join("folder/temporary")).unwrap();
        },
        |root| drop(fs::read(root.join("file")).unwrap()),
    ];
    let mut cases = JoinSet::new();
    for by in BOTH {
        for act in acts {
            cases.spawn(async move {
                let mut scene = Scene::new(by);
                fs::create_dir(scene.path("folder")).unwrap();
                fs::write(scene.path("folder/entry"), "").unwrap();
                fs::write(scene.path("file"), "").unwrap();
                scene.watch_now(&["file", "folder"]).await;
                act(scene.root.path());
                scene.assert_unchanged().await;
                fs::write(scene.path("file"), "changed").unwrap();
                scene.changed().await;
            });
        }
    }
    cases.join_all().await;
}

#[tokio::test]
async fn a_change_before_watching_is_seen() {
    let mut cases = JoinSet::new();
    for by in BOTH {
        cases.spawn(async move {
            let mut scene = Scene::new(by);
            fs::create_dir(scene.path("folder")).unwrap();
            // Nobody reports what happens in a folder that wasn't watched before.
            for name in ["file", "folder/file"] {
                let path = scene.path(name);
                let before = Stamp::of(&path);
                fs::write(&path, "").unwrap();
                scene.watcher.watch([(path, before)]);
                scene.changed().await;
            }
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn what_is_watched_can_be_replaced_while_a_look_is_under_way() {
    let mut scene = Scene::new(By::Events);
    fs::write(scene.path("a"), "").unwrap();
    scene.watch(&["a"]);
    // As a call leaves it that is dropped during its first look.
    scene.watcher.look = Some(scene.watcher.begin_look());
    fs::remove_file(scene.path("a")).unwrap();
    scene.watch(&["b", "c"]);
    assert_eq!(scene.watcher.next_look().await.len(), 2);
    scene.assert_unchanged().await;
    fs::write(scene.path("c"), "").unwrap();
    scene.changed().await;
}

#[tokio::test]
async fn many_writes_are_one_change() {
    let mut cases = JoinSet::new();
    for by in BOTH {
        cases.spawn(async move {
            let mut scene = Scene::new(by);
            scene.watch_now(&["file"]).await;
            for number in 0..100 {
                fs::write(scene.path("file"), vec![b'x'; number]).unwrap();
            }
            scene.changed().await;
            scene.assert_unchanged().await;
        });
    }
    cases.join_all().await;
}

/// Both the file itself and the folder into which it comes are watched in one of two ways.
#[tokio::test]
async fn a_slow_writer_is_waited_for() {
    let mut cases = JoinSet::new();
    for by in BOTH {
        for (watched, exists) in [("folder/file", true), ("folder/file", false), ("folder", false)] {
            cases.spawn(async move {
                let mut scene = Scene::new(by);
                let path = scene.path("folder/file");
                fs::create_dir(scene.path("folder")).unwrap();
                if exists {
                    fs::write(&path, "before").unwrap();
                }
                scene.watch_now(&[watched]).await;
                let is_written = Arc::new(AtomicBool::new(false));
                let (written, target) = (Arc::clone(&is_written), path.clone());
                let writer = thread::spawn(move || {
                    let mut file = File::create(target).unwrap();
                    for line in ["a\n", "b\n", "c\n", "d\n", "e\n"] {
                        file.write_all(line.as_bytes()).unwrap();
                        // It is slow compared to `DEBOUNCE`, and takes longer than `POLL`.
                        thread::sleep(Duration::from_millis(700));
                    }
                    file.write_all(b"f\n").unwrap();
                    written.store(true, Ordering::SeqCst);
                });
                scene.changed().await;
                assert!(is_written.load(Ordering::SeqCst), "{watched} {exists} by {by:?}");
                assert_eq!(fs::read(path).unwrap(), b"a\nb\nc\nd\ne\nf\n");
                writer.join().unwrap();
                scene.assert_unchanged().await;
            });
        }
    }
    cases.join_all().await;
}

#[tokio::test]
async fn a_file_that_stays_open_is_not_waited_for_for_ever() {
    let mut scene = Scene::new(By::Events);
    scene.watch_now(&["file"]).await;
    let mut file = File::create(scene.path("file")).unwrap();
    file.write_all(b"a").unwrap();
    scene.changed().await;
    drop(file);
}

#[tokio::test]
async fn a_folder_that_comes_back_is_watched_again() {
    let mut cases = JoinSet::new();
    for by in BOTH {
        for is_seen_missing in [true, false] {
            for watched in ["a/b/file", "a/b"] {
                cases.spawn(async move {
                    let mut scene = Scene::new(by);
                    let make = |scene: &Scene| {
                        fs::create_dir_all(scene.path("a/b")).unwrap();
                        fs::write(scene.path("a/b/file"), "").unwrap();
                    };
                    make(&scene);
                    scene.watch_now(&[watched]).await;
                    let rounds = match by {
                        By::Events => 2,
                        By::Polling => 1,
                    };
                    for round in 0..rounds {
                        fs::remove_dir_all(scene.path("a")).unwrap();
                        if is_seen_missing {
                            scene.changed().await;
                        }
                        make(&scene);
                        // At first, the folder has the same names as before, which is no change.
                        match is_seen_missing || watched == "a/b/file" || round > 0 {
                            true => scene.changed().await,
                            false => scene.assert_unchanged().await,
                        }
                        fs::write(scene.path("a/b/file"), "changed").unwrap();
                        fs::write(scene.path("a/b/other"), "").unwrap();
                        scene.changed().await;
                    }
                });
            }
        }
    }
    cases.join_all().await;
}

#[tokio::test]
async fn folders_are_watched_anew_after_events_were_lost() {
    let mut scene = Scene::new(By::Events);
    scene.watch_now(&["file"]).await;
    let folder = scene.root.path().canonicalize().unwrap();
    // As if the folder had been removed and created again, and the event of that was lost.
    let system = scene.watcher.observer.watcher();
    system.unwatch(&folder).unwrap();
    let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    scene.watcher.events.report(Ok(lost), true);
    scene.watcher.next_look().await;
    fs::write(scene.path("file"), "").unwrap();
    scene.watcher.due = Instant::now() + scene.watcher.poll;
    scene.changed().await;
}

#[tokio::test]
async fn a_call_continues_where_the_last_one_was_dropped() {
    let mut cases = JoinSet::new();
    for by in BOTH {
        cases.spawn(async move {
            let mut scene = Scene::new(by);
            fs::write(scene.path("file"), "").unwrap();
            scene.watch_now(&["file"]).await;
            fs::write(scene.path("file"), "changed").unwrap();
            let repeated = async {
                while timeout(Duration::from_millis(20), scene.watcher.changed())
                    .await
                    .is_err()
                {}
            };
            assert!(within_deadline(repeated).await, "{by:?}");
            scene.assert_unchanged().await;
        });
    }
    cases.join_all().await;
}
