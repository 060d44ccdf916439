//! What viewers want to be sent of a picture that has several layers.

use std::time::Instant;

use super::Worker;
use crate::api::{Command, Refusal, Reply};
use crate::id::PeerId;
use crate::layer_wish::{LayerPick, LayerReport, LayerWish};
use crate::peer::LegRef;
use crate::stream::Track;

impl Worker {
    /// Commands about a viewer's layers; all others are for taps and conferences.
    pub(super) fn on_layer_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::WishLayers {
                request,
                peer,
                wish,
            } => {
                let result = self.wish_layers(now, peer, wish);
                self.reply(request, result.map(|()| Reply::Done));
            }
            Command::DescribeLayers { request, peer } => {
                let result = self.describe_layers(now, peer);
                self.reply(request, result.map(Reply::Layers));
            }
            other => self.on_tap_command(now, other),
        }
    }

    /// Holds a wish and acts on it. Refused when it names what the stream does not have.
    fn wish_layers(&mut self, now: Instant, id: PeerId, wish: LayerWish) -> Result<(), Refusal> {
        let at = self.picture_of(id)?;
        if let Some(track) = self.watched_track(at) {
            check(track, &wish.pick)?;
        }
        let Some(leg) = self
            .peer_mut(at.peer)
            .and_then(|peer| peer.legs.get_mut(at.leg))
        else {
            return Err(Refusal::UnknownPeer);
        };
        let all = u8::MAX;
        leg.forwarder.limit(
            wish.spatial_max.unwrap_or(all),
            wish.temporal_max.unwrap_or(all),
        );
        leg.wish = wish;
        let stream = leg.stream;
        self.select_layer(now, at);
        if let Some(stream) = stream {
            self.want_keyframes_for_waiting(now, stream);
        }
        Ok(())
    }

    fn describe_layers(&self, now: Instant, id: PeerId) -> Result<Vec<LayerReport>, Refusal> {
        let at = self.picture_of(id)?;
        let layers = self.watched_track(at).map(|track| &track.layers[..]);
        Ok(layers
            .unwrap_or_default()
            .iter()
            .map(|layer| LayerReport {
                name: layer.name.clone(),
                active: layer.rate.is_active(now),
                bps: layer.rate.bps(),
                steps: layer.rate.by_layer().collect(),
            })
            .collect())
    }

    /// The section in which a viewer gets its picture.
    fn picture_of(&self, id: PeerId) -> Result<LegRef, Refusal> {
        let slot = self.slot_of(id).ok_or(Refusal::UnknownPeer)?;
        let peer = self.peers.get(slot).and_then(Option::as_ref);
        let leg = peer.and_then(|peer| peer.leg_of_kind(false));
        let leg = leg.ok_or_else(|| {
            Refusal::NotAcceptable("this session has no picture, and so no layers".into())
        })?;
        Ok(LegRef { peer: slot, leg })
    }

    /// The picture's track. Before the session is connected no section carries it yet: then the stream's first.
    fn watched_track(&self, at: LegRef) -> Option<&Track> {
        let peer = self.peers.get(at.peer)?.as_ref()?;
        let leg = peer.legs.get(at.leg)?;
        let stream = self.streams.get(leg.stream.or(peer.views)?)?.as_ref()?;
        let tracks = &stream.publication.as_ref()?.tracks;
        match leg.track() {
            Some(track) => tracks.get(track),
            None => tracks.iter().find(|track| !track.codec.kind.is_audio()),
        }
    }
}

/// A wish that nothing can fulfil is refused; without a picture now there is nothing to compare it with.
fn check(track: &Track, pick: &LayerPick) -> Result<(), Refusal> {
    let layers = || track.layers.iter();
    let picked = pick.among(layers().map(|layer| (layer.name.as_str(), layer.rate.bps())));
    if picked.contains(&true) {
        return Ok(());
    }
    let names: Vec<&str> = layers().map(|layer| layer.name.as_str()).collect();
    Err(Refusal::NotAcceptable(match names.as_slice() {
        [] | [""] => "this stream has one layer, without a name".into(),
        names => format!("this stream has no such layer; it has {}", names.join(", ")),
    }))
}
