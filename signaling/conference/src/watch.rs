//! Which pictures each member is shown, how large, and whose sound it does not want.

use super::io::{FeedId, Order, Priority, Want};
use super::member::{Feed, MemberKey};
use super::protocol::{Layer, Silence, Source, Watch};
use super::session::VIDEO_SLOTS_MAX;
use super::state::Conference;

/// Height in pixels of a picture whose size was not told.
const THUMBNAIL_HEIGHT: u32 = 180;

impl Conference {
    /// A member says whose pictures it shows.
    pub(super) fn watch(&mut self, key: MemberKey, watch: Watch) {
        if let Some(member) = self.members.get_mut(&key) {
            member.watch = Some(watch.tracks);
        }
        self.order_wants(key);
    }

    /// A member says whose sound it does not want.
    pub(super) fn silence(&mut self, key: MemberKey, silence: Silence) {
        if let Some(member) = self.members.get_mut(&key) {
            member.silence = silence.ids;
        }
        self.order_wants(key);
    }

    /// Tells media what a member wants, if that is not what it was told before.
    pub(super) fn order_wants(&mut self, key: MemberKey) {
        let wants = self.wants(key);
        let silenced = self.silenced(key);
        let session = (self.members.get_mut(&key))
            .and_then(|member| member.session.as_mut())
            .filter(|session| session.is_open);
        let Some(open) = session else { return };
        let session = open.id;
        let is_new = open.wants != wants;
        if is_new {
            open.wants.clone_from(&wants);
        }
        let is_silence_new = open.silenced != silenced;
        if is_silence_new {
            open.silenced.clone_from(&silenced);
        }
        if is_new {
            self.order(Order::Watch { session, wants });
        }
        if is_silence_new {
            let feeds = silenced;
            self.order(Order::Silence { session, feeds });
        }
    }

    fn wants(&self, key: MemberKey) -> Vec<Want> {
        let Some(member) = self.members.get(&key) else {
            return Vec::new();
        };
        let Some(tracks) = &member.watch else {
            return self.default_wants(key);
        };
        let mut wants: Vec<Want> = Vec::new();
        for track in tracks {
            let feed = (self.by_id.get(&track.id))
                .filter(|owner| **owner != key)
                .and_then(|owner| self.members.get(owner))
                .filter(|owner| owner.is_open())
                .and_then(|owner| owner.feeds.get(&track.source))
                .filter(|feed| feed.video.is_some());
            let Some(feed) = feed else { continue };
            if wants.len() == VIDEO_SLOTS_MAX {
                break;
            }
            if wants.iter().all(|want| want.feed != feed.id) {
                wants.push(want(feed, track.source, track.height, track.priority));
            }
        }
        wants
    }

    /// Everybody in the order of joining, shared screens first, for clients that say nothing of it.
    fn default_wants(&self, key: MemberKey) -> Vec<Want> {
        let feeds_of = |source: Source| {
            (self.members.iter())
                .filter(move |(other, member)| **other != key && member.is_open())
                .filter_map(move |(_, member)| member.feeds.get(&source))
                .filter(|feed| feed.video.is_some())
                .take(VIDEO_SLOTS_MAX)
        };
        let height = match feeds_of(Source::Camera).count() {
            0..=1 => 720,
            2..=4 => 360,
            _ => THUMBNAIL_HEIGHT,
        };
        let screens = feeds_of(Source::Screen)
            .map(|feed| want(feed, Source::Screen, u32::MAX, Priority::High));
        let cameras = feeds_of(Source::Camera)
            .map(|feed| want(feed, Source::Camera, height, Priority::Normal));
        screens.chain(cameras).take(VIDEO_SLOTS_MAX).collect()
    }

    fn silenced(&self, key: MemberKey) -> Vec<FeedId> {
        let Some(member) = self.members.get(&key) else {
            return Vec::new();
        };
        let mut feeds: Vec<_> = (member.silence.iter())
            .filter_map(|id| self.by_id.get(id))
            .filter(|owner| **owner != key)
            .filter_map(|owner| self.members.get(owner))
            .filter(|owner| owner.is_open())
            .flat_map(|owner| owner.feeds.values())
            .filter(|feed| feed.audio.is_some())
            .map(|feed| feed.id)
            .collect();
        feeds.sort_unstable();
        feeds.dedup();
        feeds
    }
}

fn want(feed: &Feed, source: Source, height: u32, priority: Priority) -> Want {
    let height = if height == 0 {
        THUMBNAIL_HEIGHT
    } else {
        height
    };
    Want {
        feed: feed.id,
        layer_max: layer_for(&feed.layers, height),
        priority,
        is_detail: source == Source::Screen,
    }
}

/// The lowest layer at least as high as 0.8 of `height`, else the highest: a little blur is not seen, twice the bits are.
fn layer_for(layers: &[Layer], height: u32) -> u8 {
    let highest = layers.len().saturating_sub(1);
    let enough = u64::from(height) * 4;
    let fitting =
        (layers.iter()).position(|layer| layer.height > 0 && u64::from(layer.height) * 5 >= enough);
    u8::try_from(fitting.unwrap_or(highest)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_is_the_lowest_that_is_high_enough() {
        let layers: Vec<_> = [90, 180, 360, 720]
            .map(|height| Layer {
                rid: height.to_string(),
                width: height * 16 / 9,
                height,
            })
            .into();
        for (height, expected) in [
            (1, 0),
            (90, 0),
            (112, 0),
            (113, 1),
            (180, 1),
            (225, 1),
            (226, 2),
            (450, 2),
            (451, 3),
            (720, 3),
            (2160, 3),
            (u32::MAX, 3),
        ] {
            assert_eq!(layer_for(&layers, height), expected, "{height}");
        }
    }

    #[test]
    fn layers_without_a_size_are_taken_whole() {
        let unknown = vec![Layer::default(); 3];
        assert_eq!(layer_for(&unknown, 10), 2);
        assert_eq!(layer_for(&[], 10), 0);
    }
}
