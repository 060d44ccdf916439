//! The history on real files.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bus::{FrameKind, MediaMoment, Message, Policy};
use bytes::Bytes;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::store::{HISTORY_FILE_NAME, StoreError};

const PATIENCE: Duration = Duration::from_secs(20);

fn message(seq: u64, channel: &str, kind: &str, more: &str) -> Arc<Message> {
    let raw = format!(r#"{{"type":"{kind}", "channel":"{channel}","value":{seq}{more}}}"#);
    Arc::new(Message {
        seq,
        channel: channel.into(),
        kind: kind.into(),
        id: Some("abcdefghijklmnop".into()),
        user: None,
        frame: FrameKind::Text,
        raw: Bytes::from(raw),
        media: None,
        is_kept: true,
        policy: Policy::Everything,
    })
}

fn open(limits: HistoryLimits) -> (TempDir, History) {
    let directory = tempdir().unwrap();
    let history = History::open(directory.path(), limits).unwrap();
    (directory, history)
}

fn audit(what: &'static str) -> Audit {
    Audit {
        at_ms: 1000,
        who: "ada".into(),
        what,
        space: "stage".into(),
        detail: "a detail".into(),
    }
}

/// Keeps them and waits; what became of each.
fn keep(history: &History, messages: impl IntoIterator<Item = Arc<Message>>) -> Vec<bool> {
    let (sender, done) = channel();
    let mut count = 0;
    for message in messages {
        let sender = sender.clone();
        history.keep(message, move |is_kept| {
            let _ = sender.send(is_kept);
        });
        count += 1;
    }
    let next = |done: &Receiver<bool>| done.recv_timeout(PATIENCE).unwrap();
    (0..count).map(|_| next(&done)).collect()
}

fn numbers(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.seq).collect()
}

#[tokio::test]
async fn a_message_comes_back_as_it_was_also_after_a_restart() {
    let (directory, history) = open(HistoryLimits::default());
    let kept = Arc::new(Message {
        user: Some("ada".into()),
        frame: FrameKind::Binary,
        raw: Bytes::from_static(br#"{ "type" : "CHAT", "odd":1.50e1}"#),
        media: Some(MediaMoment {
            stream: "main".into(),
            life: "0123abcd".into(),
            time_ms: 1_795_370_400_123,
        }),
        ..Message::clone(&message(1_795_370_400_123_456, "stage", "CHAT", ""))
    });
    assert_eq!(keep(&history, [Arc::clone(&kept)]), [true]);
    let found = history.message("stage", kept.seq).await.unwrap();
    assert_eq!(found.as_ref(), Some(&kept));
    assert_eq!(history.message("other", kept.seq).await.unwrap(), None);
    drop(history);
    let history = History::open(directory.path(), HistoryLimits::default()).unwrap();
    assert_eq!(history.newest_seq(), kept.seq);
    let found = history.latest("stage", &["CHAT"], 9, 999).await.unwrap();
    assert_eq!(found, [kept]);
}

#[tokio::test]
async fn the_newest_of_some_kinds_are_cut_by_count_and_bytes() {
    let (_directory, history) = open(HistoryLimits::default());
    let kinds = ["CHAT", "LIKE", "STATS"];
    let all = (1..=30).map(|seq| message(seq, "stage", kinds[seq as usize % 3], ""));
    keep(&history, all.chain([message(31, "other", "CHAT", "")]));
    let check = async |count, bytes_max, expected: &[u64]| {
        let latest = history.latest("stage", &["CHAT", "LIKE"], count, bytes_max);
        assert_eq!(numbers(&latest.await.unwrap()), expected);
    };
    check(4, 9999, &[25, 27, 28, 30]).await;
    let one = message(30, "stage", "CHAT", "").raw.len();
    check(9, 2 * one, &[28, 30]).await;
    check(9, 2 * one - 1, &[30]).await;
    check(9, 0, &[30]).await;
    let between = history.between("stage", 3, 30, 5).await.unwrap();
    assert_eq!(numbers(&between.messages), [4, 5, 6, 7, 8]);
    assert_eq!(between.next, Some(8));
    let rest = history.between("stage", 27, 30, 5).await.unwrap();
    assert_eq!((numbers(&rest.messages), rest.next), (vec![28, 29], None));
}

#[tokio::test]
async fn pages_follow_one_another_by_channel_kind_time_and_store() {
    let (_directory, history) = open(HistoryLimits::default());
    let stored = r#","store":true"#;
    keep(
        &history,
        [
            message(1, "a", "CHAT", ""),
            message(2, "a", "CHAT", stored),
            message(3, "b", "CHAT", r#","store":"true""#),
            message(4, "b", "STATS", stored),
            message(5, "a", "LIKE", stored),
        ],
    );
    let page = |channel: Option<&str>, kind: Option<&str>, is_stored| PageQuery {
        channel: channel.map(Into::into),
        kinds: kind.map(Into::into).into_iter().collect(),
        is_stored,
        ..PageQuery::default()
    };
    let check = async |query: PageQuery, expected: &[u64], next| {
        let found = history.page(query.clone()).await.unwrap();
        assert_eq!(
            (numbers(&found.messages), found.next),
            (expected.to_vec(), next),
            "{query:?}"
        );
    };
    check(page(None, None, false), &[1, 2, 3, 4, 5], None).await;
    check(page(None, None, true), &[2, 4, 5], None).await;
    check(page(Some("a"), None, true), &[2, 5], None).await;
    check(page(Some("a"), Some("CHAT"), false), &[1, 2], None).await;
    check(page(None, Some("STATS"), true), &[4], None).await;
    let part = |from, to, count| PageQuery {
        from,
        to,
        count,
        ..PageQuery::default()
    };
    check(part(2, 5, 9), &[2, 3, 4], None).await;
    check(part(2, 5, 2), &[2, 3], Some(3)).await;
    check(part(4, 5, 2), &[4], None).await;
    let some = |is_newest, count| PageQuery {
        kinds: vec!["LIKE".into(), "CHAT".into(), "CHAT".into()],
        is_newest,
        count,
        ..PageQuery::default()
    };
    check(some(false, 9), &[1, 2, 3, 5], None).await;
    check(some(false, 2), &[1, 2], Some(2)).await;
    check(some(false, 3), &[1, 2, 3], Some(3)).await;
    check(some(true, 9), &[1, 2, 3, 5], None).await;
    check(some(true, 3), &[2, 3, 5], Some(2)).await;
    check(some(true, 1), &[5], Some(5)).await;
}

#[tokio::test]
async fn pages_that_are_cut_by_bytes_leave_nothing_out_and_say_nothing_twice() {
    let (_directory, history) = open(HistoryLimits::default());
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let kinds = ["CHAT", "LIKE", "CUE"];
    let all = (1..=200).map(|seq| {
        let text = "x".repeat(random.usize(..400));
        let more = format!(r#","text":"{text}""#);
        message(seq, "stage", kinds[random.usize(..3)], &more)
    });
    let all: Vec<_> = all.collect();
    keep(&history, all.clone());
    for is_newest in [false, true] {
        let wanted = ["CHAT", "CUE"];
        let mut expected = all.clone();
        expected.retain(|message| wanted.contains(&&*message.kind));
        let mut query = PageQuery {
            kinds: wanted.map(str::to_owned).to_vec(),
            is_newest,
            ..PageQuery::default()
        };
        let mut found = Vec::new();
        loop {
            query.count = random.usize(1..20);
            query.bytes = random.usize(..3000);
            let mut page = history.page(query.clone()).await.unwrap();
            let next = page.next;
            if is_newest {
                page.messages.extend(found);
                found = page.messages;
            } else {
                found.extend(page.messages);
            }
            match next {
                Some(next) if is_newest => query.to = next,
                Some(next) => query.from = next + 1,
                None => break,
            }
        }
        assert_eq!(numbers(&found), numbers(&expected), "seed {seed}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_with_a_line_in_the_trail_and_numbers_never_repeat() {
    let (directory, history) = open(HistoryLimits::default());
    keep(
        &history,
        (1..=3).map(|seq| message(seq, "stage", "CHAT", "")),
    );
    let wrong_space = history.delete("other", 3, audit("delete")).await.unwrap();
    assert_eq!(wrong_space, None);
    let gone = history.delete("stage", 3, audit("delete")).await.unwrap();
    assert_eq!(gone.unwrap().seq, 3);
    let again = history.delete("stage", 3, audit("delete")).await.unwrap();
    assert_eq!(again, None);
    let figures = history.figures();
    let one = rows::weight(&message(1, "stage", "CHAT", "")) as u64;
    assert_eq!((figures.messages, figures.bytes), (2, 2 * one));
    history.clear(audit("clear")).await.unwrap();
    let all = history.page(PageQuery::default()).await.unwrap();
    assert_eq!(all, Page::default());
    let trail = history.audits("stage", u64::MAX, 9).await.unwrap();
    let what: Vec<_> = trail.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(what, ["clear", "delete"]);
    drop(history);
    let history = History::open(directory.path(), HistoryLimits::default()).unwrap();
    assert_eq!((history.newest_seq(), history.figures().messages), (3, 0));
}

#[tokio::test]
async fn a_number_that_is_taken_is_refused_alone() {
    let (_directory, history) = open(HistoryLimits::default());
    let same = [1, 2, 2, 3].map(|seq| message(seq, "stage", "CHAT", ""));
    assert_eq!(keep(&history, same), [true, true, false, true]);
    assert_eq!(history.figures().messages, 3);
    assert_eq!(history.figures().failed, 1);
}

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many_or_too_much() {
    let one = rows::weight(&message(1000, "stage", "CHAT", "")) as u64;
    for limits in [
        HistoryLimits {
            messages: 50,
            bytes: u64::MAX,
            age: None,
        },
        HistoryLimits {
            messages: u64::MAX,
            bytes: 50 * one,
            age: None,
        },
    ] {
        let (_directory, history) = open(limits);
        for from in [1000, 2000, 3000] {
            let some = (from..from + 100).map(|seq| message(seq, "stage", "CHAT", ""));
            assert!(keep(&history, some).iter().all(|is_kept| *is_kept));
        }
        // Within a group more may be there than in the end.
        keep(&history, [message(4000, "stage", "CHAT", "")]);
        let page = history.page(PageQuery::default()).await.unwrap();
        let last: Vec<u64> = (3051..3100).chain([4000]).collect();
        assert_eq!(numbers(&page.messages), last);
        let figures = history.figures();
        assert_eq!((figures.messages, figures.removed), (50, 251));
        assert_eq!(figures.bytes, 50 * one);
    }
}

/// The numbers that are left of a channel, and that the totals are those of what is left.
async fn left(history: &History, channel: &str) -> Vec<u64> {
    let sums = history.read(|connection| {
        let select = "SELECT count(*), coalesce(sum(bytes), 0) FROM message";
        connection.query_row(select, [], |row| {
            Ok((rows::unsigned(row, 0)?, rows::unsigned(row, 1)?))
        })
    });
    let figures = history.figures();
    assert_eq!(
        sums.await.unwrap(),
        (figures.messages, figures.bytes),
        "{figures:?}"
    );
    let all = history.between(channel, 0, u64::MAX, 1000).await.unwrap();
    numbers(&all.messages)
}

#[tokio::test]
async fn a_flood_costs_its_own_channel_first() {
    let large = format!(r#","text":"{}""#, "x".repeat(10_000));
    let limits = HistoryLimits {
        bytes: 1_000_000,
        ..HistoryLimits::default()
    };
    let (directory, mut history) = open(limits);
    keep(
        &history,
        (1..=100).map(|seq| message(seq, "stage", "CHAT", "")),
    );
    keep(
        &history,
        (101..=110).map(|seq| message(seq, "hall", "CHAT", &large)),
    );
    for round in 1..=6_u64 {
        let from = round * 1000;
        keep(
            &history,
            (from..from + 100).map(|seq| message(seq, "flood", "CUE", &large)),
        );
        if round == 3 {
            // What is counted in memory is counted again.
            drop(history);
            history = History::open(directory.path(), limits).unwrap();
        }
    }
    keep(&history, [message(7000, "stage", "CHAT", "")]);
    let stage: Vec<u64> = (1..=100).chain([7000]).collect();
    assert_eq!(left(&history, "stage").await, stage);
    assert_eq!(left(&history, "hall").await, Vec::from_iter(101..=110));
    let flood = left(&history, "flood").await;
    assert!(flood.len() > 50 && flood[0] > 6000, "{flood:?}");
    assert!(history.figures().bytes <= 1_000_000);
}

#[tokio::test]
async fn a_flood_of_made_up_channels_leaves_others_a_share() {
    let some = format!(r#","text":"{}""#, "x".repeat(1000));
    let directory = tempdir().unwrap();
    let limits = HistoryLimits {
        bytes: 1_000_000,
        ..HistoryLimits::default()
    };
    let named = ["small".into()].into();
    let history = History::open_with(directory.path(), limits, named).unwrap();
    let before =
        (1..=16).map(|seq| message(seq, ["stage", "small"][seq as usize / 16], "CHAT", ""));
    keep(&history, before);
    for round in 1..=8_u64 {
        let from = round * 1000;
        let channel = |seq: u64| format!("flood-{}", seq % 900);
        let flood = (from..from + 600).map(|seq| message(seq, &channel(seq), "CUE", &some));
        keep(&history, flood);
    }
    for seq in 9000..9003 {
        keep(&history, [message(seq, "stage", "CHAT", "")]);
    }
    let stage: Vec<u64> = (1..=15).chain(9000..9003).collect();
    assert_eq!(left(&history, "stage").await, stage);
    assert_eq!(left(&history, "small").await, [16]);
    assert!(history.figures().bytes <= 1_000_000);
    history.delete("stage", 1, audit("delete")).await.unwrap();
    assert_eq!(left(&history, "stage").await, stage[1..]);
    history.clear(audit("clear")).await.unwrap();
    assert!(left(&history, "stage").await.is_empty());
}

#[tokio::test]
async fn so_many_spaces_can_be_in_slow_mode_and_no_more() {
    let (_directory, history) = open(HistoryLimits::default());
    let fill = |connection: &Connection, _: &mut rows::Totals| {
        connection.execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO space_setting (space, slow_mode_ms) SELECT 's' || i, 5000 FROM n",
        )
    };
    history.change(fill).await.unwrap();
    let set = async |space: &str, pause_ms| {
        let space = space.into();
        let mode = SlowMode { space, pause_ms };
        history.set_slow_mode(mode, audit("slow_mode")).await
    };
    let error = set("stage", 1000).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManySlow { most: 1000 }));
    set("s7", 3000).await.unwrap();
    set("s8", 0).await.unwrap();
    set("stage", 1000).await.unwrap();
}

#[tokio::test]
async fn what_is_too_old_goes_with_the_next_that_comes() {
    let (_directory, history) = open(HistoryLimits {
        age: Some(Duration::from_secs(3600)),
        ..HistoryLimits::default()
    });
    let now = crate::clock::unix_micros();
    let ages_s = [7200, 3700, 3500, 0];
    keep(
        &history,
        ages_s.map(|age_s| message(now - age_s * 1_000_000, "stage", "CHAT", "")),
    );
    keep(&history, [message(now + 1, "stage", "CHAT", "")]);
    let page = history.page(PageQuery::default()).await.unwrap();
    assert_eq!(page.messages.len(), 3);
    assert_eq!(history.figures().removed, 2);
}

#[tokio::test]
async fn a_full_disk_refuses_messages_and_takes_them_again_when_there_is_room() {
    let (_directory, history) = open(HistoryLimits::default());
    let pages_max = async |pages: i64| {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        let set = move |connection: &Connection, _: &mut rows::Totals| {
            connection.query_row(&pragma, [], |_| Ok(()))
        };
        history.change(set).await.unwrap();
    };
    assert_eq!(keep(&history, [message(1, "stage", "CHAT", "")]), [true]);
    pages_max(1).await;
    let large = format!(r#","text":"{}""#, "x".repeat(60_000));
    let many = |from: u64| (from..from + 20).map(|seq| message(seq, "stage", "CHAT", &large));
    assert!(keep(&history, many(10)).iter().any(|is_kept| !is_kept));
    let before = history.figures();
    pages_max(1 << 30).await;
    assert_eq!(keep(&history, many(100)), [true; 20]);
    let after = history.figures();
    assert_eq!(after.messages, before.messages + 20);
    let page = history.page(PageQuery::default()).await.unwrap();
    assert_eq!(page.messages.len() as u64, after.messages);
}

#[test]
fn too_many_or_too_much_that_waits_is_refused_at_once() {
    let (_directory, history) = open(HistoryLimits::default());
    let (release, hold) = channel::<()>();
    let (inside, entered) = channel();
    // The thread is held, as by a disk that does not answer.
    history.keep(message(1, "stage", "CHAT", ""), move |_| {
        inside.send(()).unwrap();
        let _ = hold.recv_timeout(PATIENCE);
    });
    entered.recv_timeout(PATIENCE).unwrap();
    let (sender, done) = channel();
    let ask = |seq: u64, more: &str| {
        let sender = sender.clone();
        history.keep(message(seq, "stage", "CHAT", more), move |is_kept| {
            let _ = sender.send((seq, is_kept));
        });
    };
    let large = format!(r#","text":"{}""#, "x".repeat(1 << 20));
    let fit = HISTORY_QUEUE_BYTES_MAX / (large.len() + 1000);
    for seq in 2..=fit as u64 + 2 {
        ask(seq, &large);
    }
    let refused = done.try_recv().unwrap();
    assert_eq!(refused, (fit as u64 + 2, false));
    release.send(()).unwrap();
    for _ in 0..fit {
        assert!(done.recv_timeout(PATIENCE).unwrap().1);
    }
    let figures = history.figures();
    assert_eq!((figures.refused, figures.waiting), (1, 0));
}

#[tokio::test]
async fn a_read_does_not_wait_for_the_disk_to_have_written() {
    let (_directory, history) = open(HistoryLimits::default());
    keep(&history, [message(1, "stage", "CHAT", "")]);
    let (release, hold) = channel::<()>();
    let (inside, entered) = tokio::sync::oneshot::channel();
    // A write that does not end.
    let write = history.change(move |connection, _| {
        connection.execute("DELETE FROM audit", [])?;
        let _ = inside.send(());
        let _ = hold.recv_timeout(PATIENCE);
        Ok(())
    });
    let read = async {
        entered.await.unwrap();
        let latest = history.latest("stage", &["CHAT"], 9, 9999).await.unwrap();
        // Whoever waits for the write is only let go by the read.
        release.send(()).unwrap();
        latest
    };
    let (latest, written) = tokio::join!(read, write);
    written.unwrap();
    assert_eq!(numbers(&latest), [1]);
}

#[test]
fn what_comes_while_the_disk_writes_is_one_group() {
    let (_directory, history) = open(HistoryLimits::default());
    let all = (1..=5000).map(|seq| message(seq, "stage", "CHAT", r#","store":true"#));
    let begun = crate::clock::now();
    assert!(keep(&history, all).iter().all(|is_kept| *is_kept));
    let figures = history.figures();
    eprintln!(
        "5000 messages in {:?}, {} groups",
        begun.elapsed(),
        figures.groups
    );
    assert_eq!(figures.kept, 5000);
    assert!(figures.groups < 1000, "{figures:?}");
}

#[tokio::test]
async fn bans_and_slow_mode_outlive_a_restart_and_end_in_time() {
    let (directory, history) = open(HistoryLimits::default());
    let new = |space: &str, until_ms| NewBan {
        space: space.into(),
        user: Some("eve".into()),
        address: None,
        until_ms,
    };
    let first = history.ban(new("stage", 5000), audit("ban")).await.unwrap();
    let other = history.ban(new("other", 2000), audit("ban")).await.unwrap();
    let slow = |pause_ms| SlowMode {
        space: "stage".into(),
        pause_ms,
    };
    history
        .set_slow_mode(slow(3000), audit("slow_mode"))
        .await
        .unwrap();
    drop(history);
    let history = History::open(directory.path(), HistoryLimits::default()).unwrap();
    let all = history.bans(None, 1000).await.unwrap();
    assert_eq!(all, [first.clone(), other.clone()]);
    assert_eq!(
        history.bans(Some("stage"), 1000).await.unwrap(),
        std::slice::from_ref(&first)
    );
    let later = history.bans(None, 2000).await.unwrap();
    assert_eq!(later, std::slice::from_ref(&first));
    assert_eq!(history.slow_modes().await.unwrap(), [slow(3000)]);
    let wrong = history.lift_ban("stage", other.id, audit("lift"));
    assert_eq!(wrong.await.unwrap(), None);
    let lifted = history.lift_ban("stage", first.id, audit("lift")).await;
    assert_eq!(lifted.unwrap(), Some(first));
    history
        .set_slow_mode(slow(0), audit("slow_mode"))
        .await
        .unwrap();
    assert_eq!(history.slow_modes().await.unwrap(), []);
    assert_eq!(history.bans(None, 1000).await.unwrap(), [other]);
}

#[tokio::test]
async fn a_space_has_room_for_so_many_bans_and_no_more() {
    let (_directory, history) = open(HistoryLimits::default());
    let fill = |connection: &Connection, _: &mut rows::Totals| {
        connection.execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO ban (space, user, until_ms, created_ms, who) SELECT 'stage', 'u' || i, 5000, 1, 'ada' FROM n",
        )
    };
    history.change(fill).await.unwrap();
    let new = |until_ms| NewBan {
        space: "stage".into(),
        user: Some("eve".into()),
        address: None,
        until_ms,
    };
    let error = history.ban(new(9000), audit("ban")).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyBans { most: 1000, .. }));
    assert!(error.to_string().contains("space `stage` has 1000 bans"));
    // Later, when those have ended, there is room.
    let late = Audit {
        at_ms: 6000,
        ..audit("ban")
    };
    history.ban(new(9000), late).await.unwrap();
    assert_eq!(history.bans(None, 6000).await.unwrap().len(), 1);
}

#[test]
fn a_damaged_history_is_named_with_what_to_do() {
    let directory = tempdir().unwrap();
    let file = directory.path().join(HISTORY_FILE_NAME);
    std::fs::write(&file, vec![b'x'; 8192]).unwrap();
    let error = History::open(directory.path(), HistoryLimits::default()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("messages.db is damaged") && error.contains("move it away"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn others_on_the_machine_cannot_read_messages() {
    use std::os::unix::fs::PermissionsExt as _;
    let (directory, history) = open(HistoryLimits::default());
    keep(&history, [message(1, "stage", "CHAT", "")]);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
