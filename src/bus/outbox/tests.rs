//! Queues of clients that read, that read slowly, and that do not read at all.

use std::future::poll_fn;
use std::task::Waker;

use bus::Policy;

use super::*;

const BYTES_MAX: usize = 64 * 1024;

fn message(seq: u64, length: usize, policy: Policy) -> Arc<Message> {
    Arc::new(Message {
        seq,
        channel: "stage".into(),
        kind: "ANY".into(),
        id: None,
        user: None,
        frame: FrameKind::Text,
        raw: vec![b'x'; length].into(),
        media: None,
        is_kept: false,
        policy,
    })
}

fn chat(seq: u64) -> Arc<Message> {
    message(seq, 100, Policy::Everything)
}

fn newest(seq: u64, length: usize, key: &str) -> Arc<Message> {
    message(seq, length, Policy::Newest(key.into()))
}

fn batch(messages: impl IntoIterator<Item = Arc<Message>>) -> Item {
    Item::Batch(Arc::new(Batch::new(messages.into_iter().collect())))
}

fn numbers(item: &Item) -> Vec<u64> {
    match item {
        Item::Batch(batch) => batch.messages().iter().map(|message| message.seq).collect(),
        Item::One(message) => vec![message.seq],
        Item::Positions { .. } | Item::Close { .. } => Vec::new(),
    }
}

/// All that waits.
fn drain(outbox: &mut Outbox) -> Vec<Item> {
    std::iter::from_fn(|| outbox.try_next())
        .take_while(|item| !matches!(item, Item::Close { .. }))
        .collect()
}

fn all_numbers(items: &[Item]) -> Vec<u64> {
    items.iter().flat_map(numbers).collect()
}

fn bytes(sender: &Sender) -> usize {
    sender.0.lock().bytes
}

#[tokio::test]
async fn what_is_pushed_comes_in_order_and_the_close_after_it() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    assert_eq!(sender.push(batch([chat(1), chat(2)])), Pushed::Queued(0));
    sender.push(Item::One(chat(3)));
    sender.close(1000, "left");
    sender.push(Item::One(chat(4)));
    drop(sender);
    assert_eq!(numbers(&outbox.next().await), [1, 2]);
    assert_eq!(numbers(&outbox.next().await), [3]);
    for _ in 0..2 {
        let Item::Close { code, reason } = outbox.next().await else {
            panic!("no close");
        };
        assert_eq!((code, reason), (1000, "left"));
    }
}

#[tokio::test]
async fn who_is_forgotten_hears_that_the_server_stops() {
    let (sender, mut outbox) = outbox(Form::Space, BYTES_MAX);
    let waiting = tokio::spawn(async move { outbox.next().await });
    tokio::task::yield_now().await;
    drop(sender);
    let item = waiting.await.unwrap();
    assert!(
        matches!(item, Item::Close { code: STOPPING, .. }),
        "{item:?}"
    );
}

#[tokio::test]
async fn several_items_are_taken_at_once_up_to_a_weight() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    for seq in 0..6 {
        sender.push(Item::One(message(seq, 1000, Policy::Everything)));
    }
    let mut taken = Vec::new();
    poll_fn(|context| outbox.poll_take(context, 3000, |item| taken.push(item))).await;
    assert_eq!(all_numbers(&taken), [0, 1]);
    taken.clear();
    poll_fn(|context| outbox.poll_take(context, usize::MAX, |item| taken.push(item))).await;
    assert_eq!(all_numbers(&taken), [2, 3, 4, 5]);
    // What is being written is still held.
    assert!(bytes(&sender) > 4000);
    let context = Context::from_waker(Waker::noop());
    assert!(outbox.poll_take(&context, 1, |_| {}).is_pending());
    assert_eq!(bytes(&sender), 0);
}

#[test]
fn a_client_that_keeps_up_gets_whole_batches_and_everything_in_them() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    for turn in 0..1000 {
        let seq = 2 * turn;
        assert_eq!(
            sender.push(batch([
                newest(seq, 100, "CUU:a"),
                newest(seq + 1, 100, "CUU:a")
            ])),
            Pushed::Queued(0)
        );
        assert_eq!(all_numbers(&drain(&mut outbox)), [seq, seq + 1]);
    }
    assert_eq!(bytes(&sender), 0);
}

#[test]
fn a_slow_client_keeps_all_that_counts_and_only_the_newest_of_each_state() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    let mut replaced = 0;
    for turn in 0..1000_u64 {
        let of_turn = [
            newest(10 * turn, 500, "CUU:stage:ada"),
            newest(10 * turn + 1, 500, "CUU:stage:bob"),
            newest(10 * turn + 2, 500, "CHANNELS_UPDATED"),
        ];
        match sender.push(batch(of_turn)) {
            Pushed::Queued(count) => replaced += count,
            other => panic!("{other:?} in turn {turn}"),
        }
        if turn % 50 == 0 {
            sender.push(batch([chat(10 * turn + 5)]));
        }
        assert!(bytes(&sender) <= BYTES_MAX, "in turn {turn}");
    }
    assert!(replaced > 2500, "{replaced}");
    let items = drain(&mut outbox);
    let found = all_numbers(&items);
    assert!(found.is_sorted(), "{found:?}");
    let chats: Vec<_> = found.iter().filter(|seq| **seq % 10 == 5).collect();
    assert_eq!(chats.len(), 20);
    // The last word of each state is there.
    for last in [9990, 9991, 9992] {
        assert!(found.contains(&last), "{last} is not in {found:?}");
    }
}

#[test]
fn a_client_that_does_not_read_is_sent_away_and_holds_nothing() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    let overflowed = (0..10_000).find(|seq| {
        let pushed = sender.push(batch([chat(*seq)]));
        assert!(bytes(&sender) <= BYTES_MAX);
        pushed == Pushed::Overflowed
    });
    assert!(overflowed.is_some_and(|seq| seq > 50), "{overflowed:?}");
    assert_eq!(bytes(&sender), 0);
    let context = Context::from_waker(Waker::noop());
    assert!(outbox.poll_overflowed(&context).is_ready());
    assert_eq!(sender.push(batch([chat(1)])), Pushed::Queued(0));
    let item = outbox.try_next();
    assert!(
        matches!(item, Some(Item::Close { code: TOO_SLOW, reason }) if reason.contains("since")),
        "{item:?}"
    );
}

#[test]
fn pictures_make_room_before_a_client_is_sent_away() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    for seq in 0..400 {
        let picture = newest(seq, 5000, &format!("IMAGE:{seq}"));
        let pushed = sender.push(batch([picture]));
        assert!(matches!(pushed, Pushed::Queued(_)), "{pushed:?} at {seq}");
        assert!(bytes(&sender) <= BYTES_MAX);
        if seq == 10 {
            sender.push(Item::One(chat(1000)));
        }
    }
    let found = all_numbers(&drain(&mut outbox));
    assert!(found.contains(&1000) && found.contains(&399), "{found:?}");
    assert!(found.len() < 20);
}

#[test]
fn one_message_longer_than_the_whole_queue_still_reaches_who_reads() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    let long = Item::One(message(1, 2 * BYTES_MAX, Policy::Everything));
    assert_eq!(sender.push(long.clone()), Pushed::Queued(0));
    assert_eq!(numbers(&outbox.try_next().unwrap()), [1]);
    // It is being written.
    assert_eq!(sender.push(long), Pushed::Overflowed);
}

#[test]
fn who_is_too_slow_for_positions_gets_all_of_them_when_it_has_caught_up() {
    let (sender, mut outbox) = outbox(Form::Root, BYTES_MAX);
    let moved = || Bytes::from_static(&[0; 4000]);
    let stale = (0..100).any(|_| {
        matches!(
            sender.push_positions(FrameKind::Text, moved(), false),
            Pushed::Stale(_)
        )
    });
    assert!(stale && !sender.wants_positions() || sender.is_stale());
    sender.push(Item::One(chat(1)));
    assert!(!sender.wants_positions(), "it has not read what waits");
    assert_eq!(all_numbers(&drain(&mut outbox)), [1]);
    assert!(sender.wants_positions());
    // What has changed since means nothing without the whole.
    assert_eq!(
        sender.push_positions(FrameKind::Text, moved(), false),
        Pushed::Stale(1)
    );
    assert!(outbox.try_next().is_none());
    sender.push_positions(FrameKind::Text, moved(), true);
    sender.push_positions(FrameKind::Text, moved(), false);
    assert!(!sender.is_stale());
    assert_eq!(drain(&mut outbox).len(), 2);
}

#[test]
fn a_storm_leaves_no_large_queue_behind() {
    let (sender, mut outbox) = outbox(Form::Root, 1 << 20);
    for seq in 0..1000 {
        sender.push(Item::One(message(seq, 1, Policy::Everything)));
    }
    assert_eq!(drain(&mut outbox).len(), 1000);
    assert!(sender.0.lock().items.capacity() <= ROOM_KEPT);
}

#[test]
fn a_client_that_is_gone_holds_nothing_more() {
    let (sender, outbox) = outbox(Form::Root, BYTES_MAX);
    sender.push(Item::One(chat(1)));
    drop(outbox);
    assert_eq!(sender.push(Item::One(chat(2))), Pushed::Queued(0));
    assert!(sender.0.lock().items.is_empty());
}
