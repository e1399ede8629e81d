//! What is done to a log, and what is said about it.

mod log;

use self::log::Log;
use super::*;
use crate::audit_chain::AuditKey;
use crate::audit_chain::dropped;

/// A key of tests.
fn key(digit: &str) -> AuditKey {
    AuditKey::from_hex(&format!("{}{}", "ab".repeat(31), digit)).unwrap()
}

fn verified(verifier: Verifier, files: &[&Log]) -> Summary {
    let mut verifier = verifier;
    for (index, log) in files.iter().enumerate() {
        verifier
            .read(&format!("{index}"), log.lines.concat().as_slice())
            .unwrap();
    }
    verifier.finish()
}

fn faults(verifier: Verifier, files: &[&Log]) -> Vec<String> {
    verified(verifier, files).faults
}

#[test]
fn a_log_as_it_was_written_is_whole() {
    let one = Log::default().open(None).events(3).checkpoint().events(2);
    let two = one.next_file().open(None).events(1);
    let mut three = two.next_file().open(None);
    three.add(&dropped(7));
    let found = verified(Verifier::default().expect([one.end, two.end]), &[&one, &two, &three]);
    assert_eq!(found.faults, Vec::<String>::new());
    assert_eq!((found.lines, found.first, found.end), (11, 1, three.end));
    assert_eq!((found.checkpoints, found.uncovered, found.dropped), (1, 6, 7));
    // Older files need not be there.
    let found = verified(Verifier::default(), &[&two, &three]);
    assert_eq!((found.fault_count, found.first, found.chains), (0, 8, 1));
}

#[test]
fn what_is_done_to_a_line_is_found_at_its_place() {
    let whole = Log::default().open(None).events(8).checkpoint();
    type Change = fn(&mut Vec<Vec<u8>>);
    let changes: [(&str, Change, &[&str]); 12] = [
        (
            "a user",
            |lines| lines[4] = replaced(&lines[4], "\"3\"", "\"4\""),
            &["0:5: line 5 was changed"],
        ),
        (
            "a character beyond JSON",
            |lines| lines[4] = replaced(&lines[4], "\"message\":", "\"message\": "),
            &["0:5: line 5 was changed"],
        ),
        (
            "a hash",
            |lines| swap_hashes(lines),
            &[
                "0:5: line 5 was changed",
                "0:6: line 6 was changed",
                "0:7: line 7 was changed",
            ],
        ),
        (
            "a hash in upper case",
            |lines| lines[4] = upper_hash(&lines[4]),
            &["0:5: this is no line", "0:6: line 5 is missing"],
        ),
        (
            "no line",
            |lines| lines[4] = b"hello\n".to_vec(),
            &["0:5: this is no line", "0:6: line 5 is missing"],
        ),
        (
            "an empty line more",
            |lines| lines.insert(4, b"\n".to_vec()),
            &["0:5: this is no line"],
        ),
        (
            "one removed",
            |lines| drop(lines.remove(4)),
            &["0:5: line 5 is missing before line 6"],
        ),
        (
            "three removed",
            |lines| drop(lines.drain(4..7)),
            &["0:5: lines 5 to 7 are missing before line 8"],
        ),
        (
            "the first removed",
            |lines| drop(lines.remove(0)),
            &["0:1: the file doesn't begin with"],
        ),
        (
            "two exchanged",
            |lines| lines.swap(4, 5),
            &[
                "0:5: line 5 is missing before line 6",
                "0:6: line 5 stands after line 6: it was moved",
                "0:7: line 6 is missing before line 7",
            ],
        ),
        (
            "one repeated",
            |lines| lines.insert(5, lines[4].clone()),
            &["0:6: line 5 stands after line 5"],
        ),
        (
            "a number",
            |lines| lines[4] = replaced(&lines[4], "\"seq\":5", "\"seq\":9"),
            &[
                "0:5: lines 5 to 8 are missing before line 9",
                "0:6: line 6 stands after line 9",
            ],
        ),
    ];
    for (what, change, expected) in changes {
        let mut log = whole.clone();
        change(&mut log.lines);
        let found = faults(Verifier::default(), &[&log]);
        assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{what}: {found}");
        }
    }
}

fn replaced(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = str::from_utf8(line).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}

fn swap_hashes(lines: &mut [Vec<u8>]) {
    let at = lines[4].len() - 68;
    let other = lines[5][at..].to_vec();
    lines[5].truncate(at);
    let own = lines[4].split_off(at);
    lines[5].extend(own);
    lines[4].extend(other);
}

fn upper_hash(line: &[u8]) -> Vec<u8> {
    let at = line.len() - 67;
    let hash = line[at..].to_ascii_uppercase();
    assert_ne!(hash, line[at..]);
    [&line[..at], &hash].concat()
}

#[test]
fn every_bit_of_a_line_counts() {
    let whole = Log::default().open(None).events(2).checkpoint();
    for at in 0..whole.lines[1].len() {
        let mut log = whole.clone();
        log.lines[1][at] ^= 1;
        assert!(!faults(Verifier::default(), &[&log]).is_empty(), "{at}");
    }
}

#[test]
fn a_file_that_is_missing_or_in_the_wrong_place_is_found() {
    let one = Log::default().open(None).events(3);
    let two = one.next_file().open(None).events(3);
    let three = two.next_file().open(None).events(3);
    let other = Log::default().open(None).events(3);
    for (files, expected) in [
        (
            &[&one, &three][..],
            &["1:1: lines 5 to 8 are missing before line 9"][..],
        ),
        (&[&two, &one], &["1:1: a new chain begins here"]),
        (&[&one, &other], &["1:1: a new chain begins here"]),
        (&[&three, &two], &["1:1: line 5 stands after line 12"]),
        (&[&one, &Log::default()], &["1: the file has no line"]),
    ] {
        let found = faults(Verifier::default(), files);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found[0].starts_with(expected[0]), "{found:?}");
    }
    let several = || Verifier::default().allow_several(true);
    assert_eq!(faults(several(), &[&one, &other]), Vec::<String>::new());
    assert_eq!(faults(several(), &[&one, &three]).len(), 1);
}

#[test]
fn a_line_that_a_crash_has_cut_off_is_accounted_for() {
    let one = Log::default().open(None).events(3);
    let fragment = b"{\"seq\":5,\"mess";
    let mut log = one.clone();
    log.lines.push([&fragment[..], b"\n"].concat());
    let whole = log.open(Some(CutOff::of(fragment))).events(2);
    let found = verified(Verifier::default(), &[&whole]);
    assert_eq!((found.faults, found.cut_off), (Vec::new(), 1));

    let mut changed = whole.clone();
    changed.lines[4][3] ^= 1;
    assert_eq!(
        faults(Verifier::default(), &[&changed]),
        ["0:5: this is no line of an audit log"]
    );
    let mut removed = whole.clone();
    removed.lines.remove(4);
    assert_eq!(faults(Verifier::default(), &[&removed]).len(), 1);
    let mut unaccounted = one.clone();
    unaccounted.lines.push([&fragment[..], b"\n"].concat());
    let unaccounted = unaccounted.open(None);
    assert_eq!(
        faults(Verifier::default(), &[&unaccounted]),
        ["0:5: this is no line of an audit log"]
    );

    // Two crashes, of which the second one has cut off what told of the first.
    let mut twice = one.clone();
    twice.lines.push([&fragment[..], b"\n{\"seq\":5\n"].concat());
    let both = [&fragment[..], b"\n{\"seq\":5"].concat();
    assert_eq!(
        faults(Verifier::default(), &[&twice.open(Some(CutOff::of(&both)))]),
        Vec::<String>::new()
    );

    // A line that is just being written.
    let mut running = one;
    running.lines.push(fragment.to_vec());
    let found = verified(Verifier::default(), &[&running]);
    assert_eq!((found.fault_count, found.cut_off), (0, 1));
}

#[test]
fn the_end_is_missed_if_it_is_known_from_elsewhere() {
    let log = Log::default().open(None).events(3).checkpoint();
    let told = log.end;
    let longer = log.clone().events(1);
    let mut cut = log.clone();
    cut.lines.truncate(3);
    let anew = Log::default().open(None).events(5);
    for (log, expected) in [
        (&longer, None),
        (&cut, Some("the log ends with line 3, so its end is missing")),
        (&anew, Some("it has no line 5:")),
    ] {
        let found = faults(Verifier::default().expect([told]), &[log]);
        assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
        assert!(
            found.iter().all(|found| found.starts_with(expected.unwrap())),
            "{found:?}"
        );
    }
    let later = longer.next_file().open(None);
    let found = faults(Verifier::default().expect([told]), &[&later]);
    assert!(found[0].starts_with("the log begins with line 7"), "{found:?}");
}

#[test]
fn nobody_without_the_key_can_write_it_anew() {
    let (own, other) = (key("01"), key("02"));
    let log = Log::signed_by(&own)
        .open(None)
        .events(2)
        .checkpoint()
        .events(2)
        .checkpoint();
    let trusting = || Verifier::default().trust([own.public()]);
    let found = verified(trusting(), &[&log]);
    assert_eq!((found.faults, found.checkpoints, found.uncovered), (Vec::new(), 2, 0));
    assert_eq!(log.hashed_anew(0).lines, log.lines, "it is written anew as it was");

    let mut changed = log.clone();
    changed.lines[1] = replaced(&changed.lines[1], "\"0\"", "\"7\"");
    let changed = changed.hashed_anew(0);
    assert_eq!(
        faults(Verifier::default(), &[&changed]),
        Vec::<String>::new(),
        "a plain chain doesn't show it"
    );
    let wrong = "the signature of the checkpoint is not one of the key";
    assert_eq!(
        faults(trusting(), &[&changed]),
        [
            format!("0:4: {wrong}"),
            format!("0:7: {wrong}"),
            "no checkpoint is signed by the key".to_owned()
        ]
    );

    let signed_by_other = Log::signed_by(&other).open(None).events(2).checkpoint();
    assert_eq!(faults(trusting(), &[&signed_by_other]).len(), 2);
    let unsigned = Log::default().open(None).events(2).checkpoint();
    assert_eq!(
        faults(trusting(), &[&unsigned])[0],
        "0:4: the checkpoint has no signature"
    );
    let without = Log::default().open(None).events(2);
    assert_eq!(faults(trusting(), &[&without]), ["no checkpoint is signed by the key"]);
    let both = trusting().trust([other.public()]);
    let next = Log {
        key: Some(other),
        ..log.next_file()
    }
    .open(None)
    .events(1)
    .checkpoint();
    assert_eq!(faults(both, &[&log, &next]), Vec::<String>::new());
}

#[test]
fn a_long_list_of_faults_and_long_lines_are_bounded() {
    let mut log = Log::default().open(None).events(500);
    for line in &mut log.lines {
        line[8] = b'x';
    }
    let found = verified(Verifier::default(), &[&log]);
    assert_eq!(found.faults, ["0:1: this is no line of an audit log"]);
    let mut reversed = Log::default().open(None).events(500);
    reversed.lines.reverse();
    let found = verified(Verifier::default(), &[&reversed]);
    assert_eq!(found.faults.len(), 100);
    assert!(found.fault_count > 400);
    let mut long = Log::default().open(None);
    long.lines.push([vec![b'x'; 3 * 1024 * 1024], b"\n".to_vec()].concat());
    let long = long.events(1);
    assert_eq!(
        faults(Verifier::default(), &[&long]),
        ["0:2: the line is too long for one of an audit log"]
    );
}
