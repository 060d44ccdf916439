//! What a start finds: summaries of what was finished, and lives that were cut off, which are mended.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::archive::{Location, Shared};
use super::entry::Settings;
use super::index::{Line, checksum};
use super::layout::{self, DELETED_SUFFIX, FINISHED, INDEX, SUSPENDED, UNFINISHED_SUFFIX};
use super::model::{Chunk, Model, SegmentEntry};
use super::slot::{Slot, State, Summary};
use crate::media::StreamKey;

/// Media of this age at the end of a life that was cut off may not have reached the disk before a power cut: twice
/// what may be unsynced. Its checksums are compared.
const SUSPECT_MS: i64 = 60_000;

/// Endings of files that are ours to delete when nothing refers to them.
const OURS: [&str; 4] = [".m4s", ".mp4", ".jpg", UNFINISHED_SUFFIX];

/// What is wrong with an index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Lines that say nothing, the torn last one included.
    pub(super) lines: usize,
    /// Where the last line ends that says something.
    sound_len: u64,
}

/// Reads the index of a life: the sum of all lines that are whole.
pub(super) fn load(directory: &Path) -> io::Result<(Model, Damage)> {
    let bytes = fs::read(directory.join(INDEX))?;
    let mut model = Model::default();
    let mut damage = Damage::default();
    let mut end = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len() as u64;
        let whole = line.strip_suffix(b"\n");
        let text = whole.and_then(|line| std::str::from_utf8(line).ok());
        match text.and_then(Line::decode) {
            Some(line) => {
                model.apply(line);
                damage.sound_len = end;
            }
            None => damage.lines += 1,
        }
    }
    // The directory's name counts: an index that lost its first line is still this life's.
    if let Some(life) = directory.file_name().and_then(|name| name.to_str()) {
        life.clone_into(&mut model.life);
    }
    Ok((model, damage))
}

/// Puts everything that is in the directory into the archive. Lives that were cut off are mended and finished.
pub(super) fn survey(settings: &Settings, now_ms: u64, shared: &Shared) -> io::Result<()> {
    for (space, spaces) in directories(&settings.directory)? {
        for (stream, streams) in readable(&spaces.path()) {
            let Some(key) = layout::key(&space, &stream) else {
                continue;
            };
            for (life, found) in readable(&streams.path()) {
                let path = found.path();
                if life.ends_with(DELETED_SUFFIX) {
                    // A deletion that was cut off.
                    report(&path, fs::remove_dir_all(&path));
                } else if layout::is_life(&life) {
                    let is_whole = path.join(FINISHED).exists();
                    let is_suspended = path.join(SUSPENDED).exists();
                    if is_suspended {
                        report(&path, settings.disk.remove(&path.join(SUSPENDED)));
                    }
                    if is_suspended || !is_whole {
                        shared.suspend(&life, is_whole);
                    }
                    let slot = revive(settings, &key, &life, &path, now_ms);
                    if let Some(slot) = slot
                        && !shared.insert(Arc::new(slot))
                    {
                        tracing::error!(path = %path.display(), "too many recordings, or two of one name; this one is not offered");
                    }
                }
            }
        }
    }
    Ok(())
}

/// As [`directories`]; one that cannot be read must not keep the others from being offered.
fn readable(path: &Path) -> Vec<(String, DirEntry)> {
    directories(path).unwrap_or_else(|error| {
        report(path, Err(error));
        Vec::new()
    })
}

/// Directories with names that are text; links lead elsewhere and are not followed.
fn directories(path: &Path) -> io::Result<Vec<(String, DirEntry)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            found.push((name, entry));
        }
    }
    Ok(found)
}

fn revive(
    settings: &Settings,
    key: &StreamKey,
    life: &str,
    directory: &Path,
    now_ms: u64,
) -> Option<Slot> {
    let summary = match Summary::load(directory, key, life) {
        Some(summary) => summary,
        None => {
            let mended = mend(settings, directory);
            report(directory, mended.as_ref().map(drop).map_err(copy));
            let model = mended.ok().flatten()?;
            let summary = Summary::new(&model, key, now_ms);
            let path = directory.join(FINISHED);
            // On a full disk it is finished all the same, and mended again at the next start.
            report(
                &path,
                settings.disk.replace(&path, summary.encode().as_bytes()),
            );
            tracing::info!(%key, life, duration_ms = summary.recording.duration_ms, "a recording that was cut off is finished");
            summary
        }
    };
    let state = State::Finished(summary);
    Some(Slot::new(
        key.clone(),
        life.into(),
        directory.to_path_buf(),
        state,
    ))
}

/// Cuts off what is torn. Returns what is left, or nothing when nothing is; then the directory is gone, too, unless
/// there is media in it that no index tells of.
fn mend(settings: &Settings, directory: &Path) -> io::Result<Option<Model>> {
    let (mut model, damage) = match load(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
        loaded => loaded?,
    };
    let suspect_ms = model.chunks().map(|(_, chunk)| chunk.end_ms()).max();
    let suspect_ms = suspect_ms.unwrap_or(0).saturating_sub(SUSPECT_MS);
    let (mut bytes, mut missing) = (0, 0);
    for track in &mut model.tracks {
        let name = track.info.name.clone();
        track.inits.retain(|(number, len)| {
            let path = layout::init(directory, &name, *number);
            fs::metadata(path).is_ok_and(|metadata| metadata.len() == *len)
        });
        bytes += track.inits.iter().map(|init| init.1).sum::<u64>();
        for chunk in &mut track.chunks {
            missing += check(directory, &name, chunk, suspect_ms);
            bytes += chunk.bytes;
        }
        track.chunks.retain(|chunk| !chunk.segments.is_empty());
    }
    model.thumbnails.retain(|(at_s, len)| {
        let path = layout::thumbnail(directory, *at_s);
        fs::metadata(path).is_ok_and(|metadata| metadata.len() == *len)
    });
    model.bytes = bytes + model.thumbnails.iter().map(|one| one.1).sum::<u64>();
    if model.is_empty() {
        if has_media(directory)? {
            tracing::warn!(path = %directory.display(), "media without a readable index; left alone, and not offered");
        } else {
            settings.disk.remove_life(directory)?;
        }
        return Ok(None);
    }
    for (name, chunk) in model.chunks() {
        let path = layout::chunk(directory, name, chunk.first_msn);
        settings.disk.cut(&path, chunk.end_offset())?;
    }
    remove_orphans(settings, directory, &model)?;
    let index = directory.join(INDEX);
    settings.disk.cut(&index, damage.sound_len)?;
    if damage.lines + missing > 0 {
        tracing::warn!(
            path = %directory.display(),
            lines = damage.lines,
            missing,
            "a recording was cut off while something was being written; that is gone, the rest is there"
        );
    }
    if missing > 0 {
        // Only after a power cut. On a full disk the lines stay, and whoever asks for what is missing hears so.
        let lines: String = model.lines().iter().map(Line::encode).collect();
        report(&index, settings.disk.replace(&index, lines.as_bytes()));
    }
    Ok(Some(model))
}

/// Removes segments from a chunk that are not in its file; returns how many.
fn check(directory: &Path, rendition: &str, chunk: &mut Chunk, suspect_ms: i64) -> usize {
    let path = layout::chunk(directory, rendition, chunk.first_msn);
    let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let is_there = |entry: &SegmentEntry| {
        let fits = entry
            .offset
            .checked_add(entry.len)
            .is_some_and(|end| end <= len);
        let location = || Location {
            path: path.clone(),
            offset: entry.offset,
            len: entry.len,
        };
        let is_sound = || {
            location()
                .read()
                .is_ok_and(|bytes| checksum(&bytes) == entry.crc)
        };
        fits && (entry.end_ms() < suspect_ms || is_sound())
    };
    let before = chunk.segments.len();
    chunk.segments.retain(is_there);
    chunk.bytes = chunk.segments.iter().map(|entry| entry.len).sum();
    before - chunk.segments.len()
}

fn has_media(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_media = entry.file_name().to_string_lossy().ends_with(".m4s");
        if is_media && entry.metadata()?.len() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes files that the index does not name; an operator's own files stay.
pub(super) fn remove_orphans(
    settings: &Settings,
    directory: &Path,
    model: &Model,
) -> io::Result<()> {
    let mut named: HashSet<OsString> = HashSet::new();
    let mut name = |path: std::path::PathBuf| named.extend(path.file_name().map(OsString::from));
    for track in &model.tracks {
        let rendition = &track.info.name;
        for (number, _) in &track.inits {
            name(layout::init(directory, rendition, *number));
        }
        for chunk in &track.chunks {
            name(layout::chunk(directory, rendition, chunk.first_msn));
        }
    }
    for (at_s, _) in &model.thumbnails {
        name(layout::thumbnail(directory, *at_s));
    }
    for entry in fs::read_dir(directory)? {
        let file = entry?.file_name();
        let is_ours = OURS
            .iter()
            .any(|ending| file.to_string_lossy().ends_with(ending));
        if is_ours && !named.contains(&file) {
            settings.disk.remove(&directory.join(file))?;
        }
    }
    Ok(())
}

fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

fn report(path: &Path, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(path = %path.display(), %error, "a recording cannot be read, mended or deleted; check who may read and write there");
    }
}
