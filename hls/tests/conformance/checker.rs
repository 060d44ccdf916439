//! The rules, over everything that the packager gave and every playlist that a player could have read.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use hls::{CodecKind, Output, Packager, Part, Report, Segment, Timeline, View, Warning};

use crate::playlist::{Playlist, SegmentLines, seconds_of};
use crate::rules::{
    DATE_ERROR, check_boxes, check_delta, check_growth, check_keyframe, check_keyframes,
    check_other_reader, check_requests,
};
use crate::scenario::{LIFE, ORIGIN_MS, Scenario};

/// Durations have five decimals.
const DURATION_ERROR: f64 = 0.000_011;
/// By how much a part is written longer than it is, at most.
const PART_MORE_MAX: f64 = 0.000_01;

/// Earlier playlists that a delta update may be merged with.
const REMEMBERED_MAX: usize = 20;

fn part_uri(rendition: &str, msn: u64, index: u32, init: u32) -> String {
    format!("{LIFE}-{rendition}-{msn}.{index}.i{init}.m4s")
}

/// One rendition as a player and as the packager see it.
struct Rendition {
    name: String,
    kind: CodecKind,
    timeline: Timeline,
    parts: Vec<Part>,
    segments: Vec<Segment>,
    /// Earlier playlists, of the live window and of everything.
    seen: [Vec<Playlist>; 2],
    is_changed: bool,
}

/// Takes all outputs of a packager, keeps the timelines, and notes what is wrong.
pub(crate) struct Checker {
    scenario: Scenario,
    renditions: Vec<Rendition>,
    published: BTreeSet<String>,
    pub(crate) violations: Vec<String>,
    pub(crate) playlists: usize,
    /// Delta updates that left something out.
    pub(crate) deltas: usize,
    pub(crate) parts: usize,
    /// Warnings by what they are.
    pub(crate) warnings: BTreeMap<&'static str, usize>,
    missing_keyframes: BTreeSet<usize>,
    pub(crate) target_s: Option<u32>,
    pub(crate) outgrown: usize,
}

impl Checker {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            scenario: scenario.clone(),
            renditions: Vec::new(),
            published: BTreeSet::new(),
            violations: Vec::new(),
            playlists: 0,
            deltas: 0,
            parts: 0,
            warnings: BTreeMap::new(),
            missing_keyframes: BTreeSet::new(),
            target_s: None,
            outgrown: 0,
        }
    }

    fn complain(&mut self, rendition: usize, what: String) {
        if self.violations.len() < 20 {
            let name = &self.renditions[rendition].name;
            self.violations
                .push(format!("seed {}: {name}: {what}", self.scenario.seed));
        }
    }

    /// Publishes an output, as a server does.
    pub(crate) fn take(&mut self, output: Output) {
        match output {
            Output::Init {
                rendition,
                number,
                bytes,
            } => {
                assert!(!bytes.is_empty());
                while self.renditions.len() <= rendition {
                    self.add_rendition();
                }
                let name = self.renditions[rendition].name.clone();
                self.publish(rendition, format!("{LIFE}-{name}-i{number}.mp4"));
            }
            Output::TargetDuration(seconds) => {
                assert_eq!(self.target_s, None, "the target duration is said once");
                self.target_s = Some(seconds);
                for rendition in &mut self.renditions {
                    rendition.timeline.set_target_duration(seconds);
                }
            }
            Output::Outgrown(_) => self.outgrown += 1,
            Output::Part(part) => self.take_part(&part),
            Output::Segment(segment) => self.take_segment(&segment),
            Output::KeyframeDue => {}
            Output::Warning(warning) => self.count(&warning),
        }
    }

    fn count(&mut self, warning: &Warning) {
        let what = match warning {
            Warning::BFrames { .. } => "B-frames",
            Warning::KeyframeMissing { rendition, .. } => {
                self.missing_keyframes.insert(*rendition);
                "segment without a keyframe"
            }
            Warning::KeyframesRare { .. } => "rare keyframes",
            Warning::PartTooLong { .. } => "long part",
            Warning::PartTooShort { .. } => "short part",
            Warning::BadFrame { .. } => "bad frame",
        };
        *self.warnings.entry(what).or_default() += 1;
    }

    /// The names come from the scenario, in the order in which renditions are numbered.
    fn add_rendition(&mut self) {
        let place = self.renditions.len();
        let (name, kind) = self.scenario.rendition(place);
        let mut timeline = Timeline::new(self.scenario.settings(), LIFE, &name);
        if let Some(seconds) = self.target_s {
            timeline.set_target_duration(seconds);
        }
        self.renditions.push(Rendition {
            name,
            kind,
            timeline,
            parts: Vec::new(),
            segments: Vec::new(),
            seen: [Vec::new(), Vec::new()],
            is_changed: false,
        });
    }

    fn publish(&mut self, rendition: usize, uri: String) {
        if !self.published.insert(uri.clone()) {
            self.complain(rendition, format!("{uri} was published twice"));
        }
    }

    fn take_part(&mut self, part: &Part) {
        self.parts += 1;
        let rendition = &mut self.renditions[part.rendition];
        let (name, next) = (rendition.name.clone(), rendition.timeline.next());
        let before = rendition.parts.last().cloned();
        rendition.timeline.apply_part(part);
        rendition.parts.push(part.clone());
        rendition.is_changed = true;
        if next != (part.msn, part.index) {
            self.complain(
                part.rendition,
                format!(
                    "part {}.{} came when {next:?} was hinted",
                    part.msn, part.index
                ),
            );
        }
        self.publish(
            part.rendition,
            part_uri(&name, part.msn, part.index, part.init),
        );
        if let Some(before) = before {
            let end = before.start + i64::from(before.duration);
            let is_same = before.discontinuity_sequence == part.discontinuity_sequence;
            if is_same && end != part.start || part.start < end {
                let (msn, index) = (part.msn, part.index);
                self.complain(
                    part.rendition,
                    format!("part {msn}.{index} begins at {} behind {end}", part.start),
                );
            }
        }
        if let Err(what) = check_boxes(part, self.renditions[part.rendition].kind) {
            self.complain(
                part.rendition,
                format!("part {}.{}: {what}", part.msn, part.index),
            );
        }
    }

    fn take_segment(&mut self, segment: &Segment) {
        let rendition = &mut self.renditions[segment.rendition];
        rendition.timeline.apply_segment(segment);
        rendition.is_changed = true;
        let name = rendition.name.clone();
        let parts = rendition
            .parts
            .iter()
            .rev()
            .take(segment.parts as usize)
            .rev();
        let parts: Vec<Part> = parts.cloned().collect();
        rendition.segments.push(segment.clone());
        self.publish(
            segment.rendition,
            format!("{LIFE}-{name}-{}.m4s", segment.msn),
        );
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        let ticks: u64 = parts.iter().map(|part| u64::from(part.duration)).sum();
        let is_whole = bytes == segment.bytes
            && ticks == segment.duration
            && parts.iter().all(|part| part.msn == segment.msn)
            && parts
                .first()
                .is_some_and(|part| part.start == segment.start);
        if !is_whole {
            self.complain(
                segment.rendition,
                format!("segment {} is not its parts", segment.msn),
            );
        }
        if let Err(what) = check_keyframe(segment, self.renditions[segment.rendition].kind) {
            self.complain(
                segment.rendition,
                format!("segment {}: {what}", segment.msn),
            );
        }
        if !segment.independent && !self.missing_keyframes.contains(&segment.rendition) {
            self.complain(
                segment.rendition,
                format!("segment {} begins without a keyframe", segment.msn),
            );
        }
        let limit = self.scenario.part_ms * u64::from(segment.timescale) / 1000;
        let mut odd = (0, 0);
        for (place, part) in parts.iter().enumerate() {
            let is_last = place + 1 == parts.len();
            odd.0 += usize::from(u64::from(part.duration) > limit);
            odd.1 += usize::from(!is_last && u64::from(part.duration) * 100 < limit * 85);
        }
        *self.warnings.entry("part > target").or_default() += odd.0;
        *self.warnings.entry("part < 85 %").or_default() += odd.1;
    }

    /// Reads the playlists that changed, as some player does.
    pub(crate) fn look(&mut self, random: &mut Rng) {
        // Nothing may be shown before that is known.
        if self.target_s.is_none() {
            return;
        }
        let reports: Vec<Option<Report>> = self
            .renditions
            .iter()
            .map(|rendition| rendition.timeline.report())
            .collect();
        for place in 0..self.renditions.len() {
            // No player reads all of them.
            if !std::mem::take(&mut self.renditions[place].is_changed) || random.bool() {
                continue;
            }
            let others: Vec<Report> = reports
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != place)
                .filter_map(|(_, report)| report.clone())
                .collect();
            let looks = [(View::Live, View::LiveDelta), (View::Dvr, View::DvrDelta)];
            let is_dvr = random.usize(..8) == 0;
            if is_dvr && random.usize(..50) == 0 {
                // The disk's window.
                let timeline = &mut self.renditions[place].timeline;
                timeline.forget_before(timeline.live_begin().saturating_sub(5));
            }
            let (full, delta) = looks[usize::from(is_dvr)];
            if let Err(what) = self.look_at(place, full, delta, &others, random) {
                self.complain(place, what);
            }
        }
    }

    fn look_at(
        &mut self,
        place: usize,
        full: View,
        delta: View,
        others: &[Report],
        random: &mut Rng,
    ) -> Result<(), String> {
        let rendition = &self.renditions[place];
        let text = rendition.timeline.render(full, others);
        let playlist = Playlist::parse(&text)?;
        self.playlists += 1;
        check_other_reader(&text, &playlist)?;
        self.check_playlist(place, full, &playlist, others)?;
        let rendition = &self.renditions[place];
        let text = rendition.timeline.render(delta, others);
        let update = Playlist::parse(&text)?;
        self.playlists += 1;
        let seen = &rendition.seen[usize::from(full == View::Dvr)];
        check_growth(seen.last(), &playlist)?;
        // A player may have anything that is less than half the skip boundary old.
        if !seen.is_empty() {
            let before = &seen[random.usize(..seen.len())];
            self.deltas += usize::from(check_delta(&update, before, &playlist)?);
        }
        check_requests(
            &rendition.timeline,
            &playlist,
            self.scenario.part_ms,
            random,
        )?;
        if rendition.kind.is_video() {
            let view = match full {
                View::Live => View::LiveKeyframes,
                _ => View::DvrKeyframes,
            };
            let text = rendition.timeline.render(view, others);
            check_keyframes(&text, &playlist, &rendition.segments)
                .map_err(|what| format!("keyframes: {what}"))?;
        }
        let seen = &mut self.renditions[place].seen[usize::from(full == View::Dvr)];
        if seen.len() == REMEMBERED_MAX {
            seen.remove(0);
        }
        seen.push(playlist);
        Ok(())
    }

    fn check_playlist(
        &self,
        place: usize,
        view: View,
        playlist: &Playlist,
        others: &[Report],
    ) -> Result<(), String> {
        let rendition = &self.renditions[place];
        let part_target = self.scenario.part_ms as f64 / 1000.0 + PART_MORE_MAX;
        let target = playlist.target();
        let (hold_back, part_hold_back) = (
            playlist.control("HOLD-BACK").unwrap_or(0.0),
            playlist.control("PART-HOLD-BACK").unwrap_or(0.0),
        );
        if hold_back < 3.0 * target || part_hold_back < 3.0 * part_target - 1e-9 {
            return Err(format!("holds back {hold_back}, {part_hold_back}"));
        }
        if playlist.kind.is_some() && view != View::Vod {
            return Err(String::from("a window that slides has a type"));
        }
        let is_whole = |segment: &SegmentLines| {
            let first = rendition
                .parts
                .partition_point(|part| part.msn < segment.msn);
            rendition
                .parts
                .get(first)
                .is_some_and(|part| part.independent)
        };
        if playlist.is_independent && !playlist.segments.iter().all(is_whole) {
            return Err(String::from(
                "a segment begins without the promised keyframe",
            ));
        }
        let (msn, part) = rendition.timeline.next();
        let init = rendition.parts.last().map_or(0, |last| last.init);
        let hint = part_uri(&rendition.name, msn, part, init);
        let is_paused = part == 0 && rendition.segments.last().is_some_and(|last| last.is_last);
        let hinted = (!is_paused).then_some(&hint);
        if !playlist.has_ended && playlist.hint.as_ref() != hinted {
            return Err(format!("hints {:?} instead of {hinted:?}", playlist.hint));
        }
        if self.published.contains(&hint) {
            return Err(format!("hints {hint}, which is there"));
        }
        if !playlist.has_ended && playlist.reports.len() != others.len() {
            return Err(String::from("not one report for each other rendition"));
        }
        let total: f64 = playlist.segments.iter().map(SegmentLines::length).sum();
        let mut behind = total;
        for segment in &playlist.segments {
            behind -= segment.length();
            let msn = segment.msn;
            if segment.is_complete() && segment.seconds.round() > target {
                return Err(format!("segment {msn} is {} s long", segment.seconds));
            }
            let uris = segment
                .parts
                .iter()
                .map(|part| &part.uri)
                .chain([&segment.map]);
            let own = Some(&segment.uri).filter(|uri| !uri.is_empty());
            if let Some(uri) = uris.chain(own).find(|uri| !self.published.contains(*uri)) {
                return Err(format!("segment {msn}: nobody knows {uri:?}"));
            }
            self.check_parts(place, segment, part_target)?;
            if behind < 3.0 * target - 0.001 && segment.is_complete() && segment.parts.is_empty() {
                return Err(format!("the parts of segment {msn} are gone"));
            }
            if behind > 3.0 * target + 0.001 && !segment.parts.is_empty() {
                return Err(format!("the parts of segment {msn} are still there"));
            }
        }
        // A part stays for three target durations after its line went.
        if view == View::Live && playlist.media_sequence > 1 && total < 7.0 * target {
            return Err(format!("the playlist is only {total} s long"));
        }
        Ok(())
    }

    /// A segment's lines against what the packager gave.
    fn check_parts(&self, place: usize, lines: &SegmentLines, target: f64) -> Result<(), String> {
        let rendition = &self.renditions[place];
        let msn = lines.msn;
        let truth = rendition.segments.get(msn as usize - 1);
        let first = rendition.parts.partition_point(|part| part.msn < msn);
        let parts = &rendition.parts[first..];
        let head = parts.first().ok_or("a segment without parts")?;
        let media = head.start as f64 / f64::from(head.timescale);
        let date = seconds_of(&lines.date) - ORIGIN_MS as f64 / 1000.0;
        if (date - media).abs() > DATE_ERROR {
            return Err(format!("segment {msn} is dated {date} at {media}"));
        }
        if lines.discontinuities != head.discontinuity_sequence {
            return Err(format!(
                "segment {msn}: {} discontinuities, not {}",
                lines.discontinuities, head.discontinuity_sequence
            ));
        }
        if truth.is_some_and(|truth| truth.discontinuity != lines.has_discontinuity) {
            return Err(format!(
                "segment {msn}: its discontinuity is not where it was"
            ));
        }
        for (index, (line, part)) in lines.parts.iter().zip(parts).enumerate() {
            let seconds = f64::from(part.duration) / f64::from(part.timescale);
            // More than it is: a part never seems to begin earlier than the part before said.
            let more = line.seconds - seconds;
            if !(more > 0.0 && more < PART_MORE_MAX + 1e-9)
                || line.is_independent != part.independent
            {
                return Err(format!("part {msn}.{index} is not as its line says"));
            }
            let is_odd =
                self.warnings.contains_key("long part") || self.warnings.contains_key("short part");
            if line.seconds > target + 1e-9 && !is_odd {
                return Err(format!("part {msn}.{index} is {} s long", line.seconds));
            }
            let is_last = lines.is_complete() && index + 1 == lines.parts.len();
            // Nobody can know yet whether the last one so far is the last one.
            let may_be_last = !lines.is_complete() && index + 1 == lines.parts.len();
            if !is_last && !may_be_last && line.seconds < target * 0.85 - DURATION_ERROR && !is_odd
            {
                return Err(format!(
                    "part {msn}.{index} is only {} s long",
                    line.seconds
                ));
            }
        }
        if lines.is_complete() {
            let sum: f64 = lines.parts.iter().map(|part| part.seconds).sum();
            if !lines.parts.is_empty()
                && (sum - lines.seconds).abs() > DURATION_ERROR * lines.parts.len() as f64
            {
                return Err(format!(
                    "segment {msn} is {} s, its parts {sum} s",
                    lines.seconds
                ));
            }
        }
        Ok(())
    }

    /// What can only be seen at the end.
    pub(crate) fn finish(&mut self, packager: &Packager) {
        for (place, info) in packager.renditions().iter().enumerate() {
            if place < self.renditions.len() && info.name != self.renditions[place].name {
                self.complain(place, format!("it is called {}", info.name));
            }
        }
        let video: Vec<(f64, bool)> = self
            .renditions
            .iter()
            .filter(|rendition| rendition.kind.is_video())
            .flat_map(|rendition| &rendition.segments)
            .map(|segment| {
                (
                    segment.start as f64 / f64::from(segment.timescale),
                    segment.independent,
                )
            })
            .collect();
        let pictures: Vec<(f64, f64)> = self
            .renditions
            .iter()
            .filter(|rendition| rendition.kind.is_video())
            // Sound follows the lowest layer.
            .take(1)
            .flat_map(|rendition| &rendition.segments)
            .map(|segment| {
                let seconds = |ticks: i64| ticks as f64 / f64::from(segment.timescale);
                (
                    seconds(segment.start),
                    seconds(segment.start + segment.duration as i64),
                )
            })
            .collect();
        for place in 0..self.renditions.len() {
            if self.renditions[place].kind.is_video() || video.is_empty() {
                continue;
            }
            for segment in self.renditions[place].segments.clone() {
                let start = segment.start as f64 / f64::from(segment.timescale);
                if segment.msn == 1 || segment.discontinuity {
                    // A microphone begins when it will.
                    continue;
                }
                // Where no picture is, because the publisher left, or one could not be repeated, the sound goes on alone.
                let has_picture = pictures
                    .iter()
                    .any(|(begin, end)| (*begin..*end).contains(&start));
                // A frame's length, and what a cut without a keyframe is noticed late.
                let is_together = video.iter().any(|(cut, has_keyframe)| {
                    let late = if *has_keyframe { 0.025 } else { 0.25 };
                    (-0.001..late).contains(&(start - cut))
                });
                if !is_together && has_picture && !self.warnings.contains_key("long part") {
                    let near = video.iter().map(|(cut, key)| (start - cut, key));
                    let near = near.min_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
                    self.complain(
                        place,
                        format!("segment {} begins alone at {start}, {near:?}", segment.msn),
                    );
                }
            }
        }
        for place in 0..self.renditions.len() {
            if let Err(what) = self.check_recording(place) {
                self.complain(place, format!("the recording {what}"));
            }
        }
    }

    /// The playlist of everything, and of its keyframes, when nothing comes any more.
    fn check_recording(&mut self, place: usize) -> Result<(), String> {
        let rendition = &mut self.renditions[place];
        rendition.timeline.end();
        let whole = Playlist::parse(&rendition.timeline.render(View::Vod, &[]))?;
        let last = rendition.segments.len() as u64;
        if !whole.has_ended || whole.segments.last().map_or(0, |one| one.msn) != last {
            return Err(String::from("is not whole"));
        }
        if rendition.kind.is_video() {
            let keyframes = rendition.timeline.render(View::VodKeyframes, &[]);
            check_keyframes(&keyframes, &whole, &rendition.segments)
                .map_err(|what| format!("has other keyframes: {what}"))?;
        }
        Ok(())
    }
}
