//! The sound that is encoded while somebody asks for it.

use bytes::Bytes;
use transcode::{lacks_sound, opus_packets, reaches, with_sound};

use super::*;
use crate::broadcast::{AAC, OPUS};

impl Stage {
    fn segment(&self, rendition: &str, msn: u64) -> Bytes {
        let rendition = self.show().rendition(rendition).unwrap();
        rendition.segment(msn).expect("it is in memory")
    }

    /// What somebody is given who asks for this segment.
    fn heard(&self, msn: u64) -> Bytes {
        let segment = self.segment(AAC, msn);
        if !lacks_sound(&segment) {
            return segment;
        }
        let opus = self.show().rendition(OPUS).unwrap();
        let around = (msn - 1..=msn + 1).filter_map(|msn| opus.media(msn));
        let opus: Vec<Bytes> = around.flat_map(|media| media.bytes).collect();
        let packets = opus_packets(&opus);
        assert!(reaches(&packets, &segment), "{msn}");
        let made = with_sound(&segment, &packets).unwrap();
        // The same of as little Opus as it needs, and not of less.
        let enough = (1..packets.len()).find(|end| reaches(&packets[..*end], &segment));
        let enough = &packets[..enough.unwrap_or(packets.len())];
        assert_eq!(with_sound(&segment, enough).unwrap(), made);
        made
    }
}

#[test]
fn aac_is_encoded_while_somebody_asks_and_made_of_the_opus_for_who_asks_later() {
    let mut stage = Stage::new(9);
    stage.publish(stage.clip.tracks());
    stage.run(9 * S);
    let (seen, heard) = (stage.playlist(AAC), stage.playlist(OPUS));
    assert_eq!(seen.media_sequence, heard.media_sequence);
    assert!((1..=3).all(|msn| lacks_sound(&stage.segment(AAC, msn))));
    // In the middle of a segment.
    stage.run(S * 7 / 10);
    stage.show().touch_aac();
    let aac = stage.show().rendition(AAC).unwrap();
    let asked_in = aac.next().0;
    stage.run(6 * S);
    let newest = aac.next().0 - 1;
    assert!(asked_in < newest && lacks_sound(&stage.segment(AAC, asked_in)));
    assert!(!lacks_sound(&stage.segment(AAC, asked_in + 1)));
    let samples = (1..=newest).flat_map(|msn| {
        let heard = stage.heard(msn);
        assert!(!lacks_sound(&heard));
        hls::sound_samples(&heard).unwrap()
    });
    let samples: Vec<_> = samples.collect();
    for pair in samples.windows(2) {
        assert_eq!(pair[0].start + i64::from(pair[0].duration), pair[1].start);
        let duration = pair[0].duration;
        assert!(
            (1_020..=1_028).contains(&duration),
            "{duration} at {}",
            pair[0].start
        );
        assert!(pair[1].data.len() > 100, "no silence at {}", pair[1].start);
    }
}

#[test]
fn what_is_kept_has_its_sound_from_its_first_segment_on() {
    for tenths in [0, 4, 9, 17] {
        let mut stage = Stage::new(10);
        stage.publish(stage.clip.tracks());
        stage.run(7 * S + S * tenths / 10);
        let life = stage.show().life().clone();
        let archive = stage.recorder.archive().clone();
        archive.keep(&life, true).unwrap();
        let from = stage.show().rendition(AAC).unwrap().next().0;
        stage.run(6 * S);
        // The recorder has written all that was sent before.
        archive.keep(&life, false).unwrap();
        for msn in 1..from + 2 {
            let location = archive.segment(&life, AAC, msn).expect("it is on disk");
            let written = location.read().unwrap();
            assert_eq!(lacks_sound(&written), msn < from, "{msn} of {from}");
            assert_eq!(written, stage.segment(AAC, msn));
        }
        let samples = hls::sound_samples(&stage.segment(AAC, from)).unwrap();
        assert!(
            samples.iter().all(|sample| sample.data.len() > 100),
            "{from}"
        );
    }
}
