//! A participant's feed as a stream of the space: viewers watch it as they watch any other.

use sfu::StreamId;

use super::venue::{S, Venue};
use crate::shell::seed;

fn check(seed: u64, workers: usize) {
    let mut venue = Venue::of(seed, workers, 3);
    let stream: StreamId = venue.streams[1];
    venue.world.run_until_complete(stream, 2);
    venue.run_until(3 * S);
    let viewers: Vec<usize> = (0..workers)
        .map(|worker| venue.world.view(worker, stream))
        .collect();
    // Nobody in the conference looks; the viewers' layers must not be paused for that.
    venue.plan_all(&super::room::Plan::List(Vec::new()));
    venue.world.run(25 * S);
    venue.check();
    for viewer in &viewers {
        let viewer = venue.world.clients[*viewer].viewer();
        let decoded = &viewer.video.decoded;
        assert!(decoded.len() > 25 * 14, "{} pictures", decoded.len());
        assert!(
            decoded
                .iter()
                .all(|one| u64::from(one.picture.publication) == stream.0)
        );
        let last = decoded.last().unwrap();
        assert!(venue.world.now - last.at < S);
        assert_eq!(last.picture.layer, 2, "on a good link");
        assert!(viewer.audio.packets > 50, "{}", viewer.audio.packets);
    }
    venue.world.unpublish(stream);
    venue.world.run(2 * S);
    let gone = venue.world.now;
    venue.world.run(S);
    for viewer in viewers {
        let decoded = &venue.world.clients[viewer].viewer().video.decoded;
        assert!(decoded.last().unwrap().at < gone, "it ended");
    }
}

#[test]
fn a_feed_is_watched_from_outside_on_one_worker() {
    check(seed(260), 1);
}

#[test]
fn a_feed_is_watched_from_outside_on_every_worker() {
    check(seed(261), 3);
}
