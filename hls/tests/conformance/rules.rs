//! The rules that need one or two playlists, or one part.

use fastrand::Rng;
use hls::{CodecKind, Hold, Part, Segment, Timeline};
use mp4_atom::{Decode, DecodeMaybe, Header, Moof, TrunEntry};

use crate::playlist::{Playlist, SegmentLines, seconds_of};

/// Sample flags of a sample that is not one to begin at.
const NOT_SYNC: u32 = 0x0001_0000;

/// Dates are in whole milliseconds.
pub(crate) const DATE_ERROR: f64 = 0.001_01;

/// The type of an IDR picture's NAL units.
const IDR: u8 = 5;

/// Whether a sample of H.264 has an IDR picture.
fn has_idr(mut sample: &[u8]) -> bool {
    while let Some((length, rest)) = sample.split_first_chunk::<4>() {
        let (unit, after) = rest.split_at(u32::from_be_bytes(*length) as usize);
        if unit[0] & 31 == IDR {
            return true;
        }
        sample = after;
    }
    false
}

/// One `moof` with its `mdat`.
pub(crate) struct Fragment<'a> {
    moof: Moof,
    data: &'a [u8],
    bytes: usize,
}

impl<'a> Fragment<'a> {
    /// The first one.
    fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut rest = bytes;
        let moof = Moof::decode(&mut rest).map_err(|error| error.to_string())?;
        let moof_bytes = bytes.len() - rest.len();
        let mdat = Header::decode_maybe(&mut rest).map_err(|error| error.to_string())?;
        let size = mdat.and_then(|mdat| mdat.size).ok_or("no mdat")?;
        let sizes = moof.traf[0].trun[0].samples.iter();
        let sum: u32 = sizes.filter_map(|sample| sample.size).sum();
        let data = rest.get(..size).filter(|data| data.len() == sum as usize);
        match data {
            Some(data) if moof.traf[0].trun[0].data_offset == Some(moof_bytes as i32 + 8) => {
                Ok(Self {
                    moof,
                    data,
                    bytes: moof_bytes + 8 + size,
                })
            }
            _ => Err(String::from("its data are not where it says")),
        }
    }

    /// All of them: there is nothing else.
    pub(crate) fn all(mut bytes: &'a [u8]) -> Result<Vec<Self>, String> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let one = Self::read(bytes)?;
            bytes = &bytes[one.bytes..];
            found.push(one);
        }
        Ok(found)
    }

    pub(crate) fn samples(&self) -> Vec<TrunEntry> {
        self.moof.traf[0].trun[0].samples.iter().collect()
    }

    fn time(&self) -> Option<u64> {
        let time = self.moof.traf[0].tfdt.as_ref();
        time.map(|tfdt| tfdt.base_media_decode_time)
    }
}

/// The fragments' boxes against what the part says; `kind` is its rendition's.
pub(crate) fn check_boxes(part: &Part, kind: CodecKind) -> Result<(), String> {
    let is_video = kind.is_video();
    let fragments = Fragment::all(&part.bytes)?;
    let track = if is_video { 1 } else { 2 };
    let mut end = part.start as u64;
    for fragment in &fragments {
        let header = &fragment.moof.traf[0].tfhd;
        if header.track_id != track || !header.default_base_is_moof {
            return Err(String::from("its track header is wrong"));
        }
        if fragment.time() != Some(end) {
            return Err(format!("it goes on at {:?}, not {end}", fragment.time()));
        }
        let samples = fragment.samples();
        if samples
            .iter()
            .any(|sample| sample.duration.unwrap_or(0) == 0 || sample.size == Some(0))
        {
            return Err(String::from("a sample is empty"));
        }
        let durations = samples.iter().filter_map(|sample| sample.duration);
        end += durations.map(u64::from).sum::<u64>();
    }
    if end != part.start as u64 + u64::from(part.duration) {
        return Err(format!("it lasts until {end}"));
    }
    let first = fragments.first().ok_or("it is empty")?;
    let samples = first.samples();
    let is_in_order = |fragment: &Fragment| {
        let samples = fragment.samples();
        samples.iter().all(|sample| sample.cts.unwrap_or(0) == 0)
    };
    let begins_alone = kind == CodecKind::H264
        && part.independent
        && part.index == 0
        && fragments.iter().all(is_in_order);
    if fragments.len() > 2 || fragments.len() == 2 && !begins_alone {
        return Err(format!("it has {} fragments", fragments.len()));
    }
    if begins_alone && samples.len() != 1 {
        return Err(String::from("its keyframe is not alone"));
    }
    let is_key = |flags: Option<u32>| flags.is_none_or(|flags| flags & NOT_SYNC == 0);
    if is_video && is_key(samples[0].flags) != part.independent {
        return Err(String::from("its first sample's flags are wrong"));
    }
    let size = samples[0].size.unwrap_or(0) as usize;
    if kind == CodecKind::H264 && has_idr(&first.data[..size]) != part.independent {
        return Err(String::from(
            "it is independent and has no IDR picture, or the reverse",
        ));
    }
    Ok(())
}

/// Where the keyframe ends that a segment of a picture begins with.
pub(crate) fn check_keyframe(segment: &Segment, kind: CodecKind) -> Result<(), String> {
    let expected = match kind == CodecKind::H264 && segment.independent {
        true => Some(Fragment::read(&segment.bytes)?).filter(|first| first.samples().len() == 1),
        false => None,
    };
    let found = segment.keyframe_bytes;
    let expected = expected.map_or(0, |first| first.bytes);
    match found as usize == expected {
        true => Ok(()),
        false => Err(format!("its keyframe ends at {expected}, not {found}")),
    }
}

/// The playlist of keyframes against the one of everything, and against the segments themselves.
pub(crate) fn check_keyframes(
    text: &str,
    full: &Playlist,
    segments: &[Segment],
) -> Result<(), String> {
    let playlist = Playlist::parse(text)?;
    check_other_reader(text, &playlist)?;
    let version = playlist.constants.get("EXT-X-VERSION");
    let version = version.and_then(|version| version.parse::<u32>().ok());
    if !playlist.is_keyframes_only || version.is_none_or(|version| version < 8) {
        return Err(String::from("it does not say what it is"));
    }
    let has_more = playlist.hint.is_some() || playlist.reports.len() + playlist.constants.len() > 2;
    let is_like = (playlist.media_sequence, playlist.discontinuity_sequence)
        == (full.media_sequence, full.discontinuity_sequence)
        && playlist.target() == full.target()
        && playlist.has_ended == full.has_ended;
    if has_more || !is_like {
        return Err(String::from("it is not like the other"));
    }
    let complete = full.segments.iter().filter(|one| one.is_complete());
    let complete: Vec<&SegmentLines> = complete.collect();
    if complete.len() != playlist.segments.len() {
        return Err(String::from("it has another length"));
    }
    for (ours, other) in playlist.segments.iter().zip(complete) {
        let alike = SegmentLines {
            range: None,
            is_gap: false,
            ..ours.clone()
        };
        if alike != other.without_parts() {
            return Err(format!("segment {} is another one", ours.msn));
        }
        let truth = &segments[ours.msn as usize - 1];
        let is_there = truth.keyframe_bytes > 0;
        let range = is_there.then_some((truth.keyframe_bytes, 0));
        if ours.range != range || ours.is_gap == is_there {
            return Err(format!("segment {}: its keyframe is not there", ours.msn));
        }
    }
    Ok(())
}

/// What m3u8-rs makes of it.
pub(crate) fn check_other_reader(text: &str, playlist: &Playlist) -> Result<(), String> {
    let (_, other) =
        m3u8_rs::parse_media_playlist(text.as_bytes()).map_err(|error| error.to_string())?;
    let complete: Vec<&SegmentLines> = playlist
        .segments
        .iter()
        .filter(|segment| segment.is_complete())
        .collect();
    let is_same = other.media_sequence == playlist.media_sequence
        && other.discontinuity_sequence == playlist.discontinuity_sequence
        && other.end_list == playlist.has_ended
        && other.target_duration as f64 == playlist.target()
        && other.segments.len() == complete.len()
        && other.segments.iter().zip(&complete).all(|(other, ours)| {
            other.uri == ours.uri
                && (f64::from(other.duration) - ours.seconds).abs() < 0.001
                && other.discontinuity == ours.has_discontinuity
                && other.program_date_time.is_some()
        });
    if is_same {
        Ok(())
    } else {
        Err(String::from("another reader reads something else"))
    }
}

/// A later playlist against an earlier one: constants stay, segments stay as they were, numbers grow.
pub(crate) fn check_growth(before: Option<&Playlist>, after: &Playlist) -> Result<(), String> {
    if after.constants.len() != 4 || after.media_sequence == 0 {
        return Err(format!("{:?}, {}", after.constants, after.media_sequence));
    }
    let Some(before) = before else {
        return Ok(());
    };
    if after.is_independent && !before.is_independent {
        return Err(String::from("what was taken back is promised again"));
    }
    if before.constants != after.constants {
        return Err(format!(
            "{:?} became {:?}",
            before.constants, after.constants
        ));
    }
    let removed = after.media_sequence.checked_sub(before.media_sequence);
    let Some(removed) = removed else {
        return Err(String::from("the media sequence number fell"));
    };
    if after.discontinuity_sequence < before.discontinuity_sequence {
        return Err(String::from("the discontinuity sequence number fell"));
    }
    let kept = before.segments.iter().skip(removed as usize);
    for (old, new) in kept.zip(&after.segments) {
        let is_same = if old.is_complete() {
            old.without_parts() == new.without_parts()
                && (new.parts.is_empty() || new.parts == old.parts)
        } else {
            (new.parts.starts_with(&old.parts) || new.parts.is_empty())
                && (&old.date, &old.map) == (&new.date, &new.map)
        };
        if !is_same {
            return Err(format!("segment {} became another one", old.msn));
        }
    }
    for pair in after.segments.windows(2) {
        let gap = seconds_of(&pair[1].date) - seconds_of(&pair[0].date) - pair[0].seconds;
        if !pair[1].has_discontinuity && gap.abs() > 2.0 * DATE_ERROR {
            return Err(format!("segment {} is dated {gap} s late", pair[1].msn));
        }
    }
    Ok(())
}

/// A delta update, put together with an earlier playlist, is the full one. Says whether it left something out.
pub(crate) fn check_delta(
    update: &Playlist,
    before: &Playlist,
    full: &Playlist,
) -> Result<bool, String> {
    let skip_until = full.skip_until().ok_or("no CAN-SKIP-UNTIL")?;
    if skip_until < 6.0 * full.target() {
        return Err(format!("CAN-SKIP-UNTIL is {skip_until}"));
    }
    let date = |playlist: &Playlist| playlist.segments.last().map(|last| seconds_of(&last.date));
    let is_recent = date(full)
        .zip(date(before))
        .is_some_and(|(now, then)| now - then < skip_until / 2.0);
    if update.skipped > 0 && !is_recent {
        // Whoever has only this must ask for the full one.
        return Ok(false);
    }
    let skipped = update.skipped as usize;
    let kept: f64 = update.segments.iter().map(SegmentLines::length).sum();
    if skipped > 0 && kept < skip_until - 0.001 {
        return Err(format!("a delta update has only {kept} s left"));
    }
    let merged = update.merge(before)?;
    let same = |playlist: &Playlist| -> Vec<SegmentLines> {
        let cut = |(place, segment): (usize, &SegmentLines)| {
            if place < skipped {
                segment.without_parts()
            } else {
                segment.clone()
            }
        };
        playlist.segments.iter().enumerate().map(cut).collect()
    };
    if same(&merged) != same(full) || merged.constants != full.constants {
        return Err(format!(
            "a delta update that skips {} is not the playlist",
            update.skipped
        ));
    }
    Ok(skipped > 0)
}

/// What is answered at once is in the playlist.
pub(crate) fn check_requests(
    timeline: &Timeline,
    playlist: &Playlist,
    part_ms: u64,
    random: &mut Rng,
) -> Result<(), String> {
    if playlist.has_ended {
        return Ok(());
    }
    let (next_msn, next_part) = timeline.next();
    let check = |msn, part, expected: Hold| {
        let hold = timeline.check_request(msn, part);
        if hold == expected {
            Ok(())
        } else {
            Err(format!(
                "{msn}.{part:?} is {hold:?} when {next_msn}.{next_part} comes next"
            ))
        }
    };
    check(next_msn, Some(next_part), Hold::Wait)?;
    check(next_msn, None, Hold::Wait)?;
    check(next_msn + 1, Some(0), Hold::Wait)?;
    check(next_msn + 2, None, Hold::TooFar)?;
    // Three parts or three seconds of them, whichever is more.
    let limit = 3_000_u64.div_ceil(part_ms).max(3) as u32;
    let far = Hold::WaitFor {
        msn: next_msn,
        part: next_part + limit,
    };
    check(next_msn, Some(next_part + 100), far)?;
    if next_part > 0 {
        check(next_msn, Some(random.u32(..next_part)), Hold::Ready)?;
        check(next_msn - 1, Some(1000), Hold::Ready)?;
    } else if next_msn > 1 {
        check(next_msn - 1, Some(1000), Hold::Wait)?;
    }
    if next_msn > 1 {
        check(next_msn - 1, None, Hold::Ready)?;
        check(next_msn - 1, Some(0), Hold::Ready)?;
    }
    Ok(())
}
