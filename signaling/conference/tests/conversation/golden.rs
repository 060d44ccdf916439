//! One file for each message. `UPDATE_GOLDEN=1` writes them anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use conference::protocol::{
    Answer, Candidate, ClientMessage, Departure, ErrorCode, Fault, Feed, Hand, IceServers, Join,
    Kind, Layer, LeaveReason, Limits, MediaState, Moderate, Music, Mute, Muted, Offer, Participant,
    ParticipantQuality, Permissions, Publish, QualityWord, Rename, ServerMessage, Silence, Slot,
    Source, Space, Speaker, Unpublish, Watch, WatchTrack, Welcome, read,
};
use conference::{ParticipantRole, Priority, SlotState};
use serde_json::Value;

const ADA: &str = "p_9f2c41d07be35a18";
const BEN: &str = "p_03b7e6a1c4d82f95";
const SDP: &str = "v=0\r\no=- 4611686018427387904 2 IN IP4 127.0.0.1\r\n";

pub(crate) fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden"]
        .iter()
        .collect()
}

/// Every golden file of the conference by its name, as JSON.
pub(crate) fn files() -> BTreeMap<String, Value> {
    std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

fn compare(name: &str, value: &impl serde::Serialize) -> String {
    let path = directory().join(format!("{name}.json"));
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{name}: {error}; UPDATE_GOLDEN=1 writes it"));
    assert_eq!(golden, text, "{name}: UPDATE_GOLDEN=1 writes it anew");
    golden
}

#[test]
fn every_message_is_written_and_read_as_its_golden_file_says() {
    let mut names = Vec::new();
    for (name, message) in from_clients() {
        let name = format!("client-{name}");
        let golden = compare(&name, &message);
        assert_eq!(read(&golden).unwrap(), message, "{name}");
        names.push(name);
    }
    for (name, message) in from_servers() {
        let name = format!("server-{name}");
        let golden = compare(&name, &message);
        let parsed: ServerMessage = serde_json::from_str(&golden).unwrap();
        assert_eq!(parsed, message, "{name}");
        names.push(name);
    }
    names.sort_unstable();
    let files: Vec<_> = files().into_keys().collect();
    assert_eq!(files, names, "no golden file without its message");
}

#[test]
fn there_is_a_golden_file_for_every_type() {
    let files = files();
    let has = |side: &str, field: &str, value: &str| {
        let found =
            (files.iter()).any(|(name, message)| name.starts_with(side) && message[field] == value);
        assert!(found, "no {side} message whose {field} is {value}");
    };
    for kind in [
        "join",
        "offer",
        "answer",
        "candidate",
        "publish",
        "unpublish",
        "mute",
        "music",
        "watch",
        "silence",
        "hand",
        "rename",
        "leave",
        "moderate",
    ] {
        has("client", "type", kind);
    }
    for action in [
        "mute",
        "unpublish",
        "stage",
        "role",
        "remove",
        "lock",
        "stage_only",
        "lower_hand",
        "stream",
    ] {
        has("client", "action", action);
    }
    for kind in [
        "welcome",
        "answer",
        "offer",
        "joined",
        "updated",
        "left",
        "participants",
        "space",
        "permissions",
        "slots",
        "speakers",
        "layers",
        "quality",
        "muted",
        "unpublished",
        "restart",
        "error",
    ] {
        has("server", "type", kind);
    }
}

fn layers() -> Vec<Layer> {
    [("q", 320, 180), ("h", 640, 360), ("f", 1280, 720)]
        .map(|(rid, width, height)| Layer {
            rid: rid.to_owned(),
            width,
            height,
        })
        .into()
}

fn camera() -> Publish {
    Publish {
        source: Source::Camera,
        audio: Some("0".to_owned()),
        video: Some("1".to_owned()),
        layers: layers(),
        muted: Muted {
            audio: false,
            video: true,
        },
        music: false,
    }
}

fn from_clients() -> Vec<(&'static str, ClientMessage)> {
    let sdp = || SDP.to_owned();
    let join = Join {
        version: 1,
        name: "Ada".to_owned(),
        identity: "hT4c9wXq2LmZ7sKd".to_owned(),
        client: Some("meet 0.2".to_owned()),
        ..Join::default()
    };
    let mut messages = vec![
        (
            "join",
            ClientMessage::Join(Box::new(Join {
                token: Some("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl".to_owned()),
                sdp: Some(sdp()),
                feeds: vec![camera()],
                data: Some("7;Ada".to_owned()),
                ..join.clone()
            })),
        ),
        (
            "join-resume",
            ClientMessage::Join(Box::new(Join {
                resume: Some("5d1f0c9a7e3b2468".to_owned()),
                ..join
            })),
        ),
        (
            "offer",
            ClientMessage::Offer(Offer {
                id: 2,
                sdp: sdp(),
                fresh: false,
            }),
        ),
        (
            "offer-fresh",
            ClientMessage::Offer(Offer {
                id: 3,
                sdp: sdp(),
                fresh: true,
            }),
        ),
        (
            "answer",
            ClientMessage::Answer(Answer { id: 1, sdp: sdp() }),
        ),
        (
            "candidate",
            ClientMessage::Candidate(Candidate {
                candidate: Some("candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host".to_owned()),
            }),
        ),
    ];
    messages.extend(about_oneself());
    let moderate = moderations()
        .into_iter()
        .map(|(name, moderate)| (name, ClientMessage::Moderate(moderate)));
    messages.extend(moderate);
    messages
}

fn about_oneself() -> Vec<(&'static str, ClientMessage)> {
    vec![
        ("publish", ClientMessage::Publish(camera())),
        (
            "unpublish",
            ClientMessage::Unpublish(Unpublish {
                source: Source::Screen,
            }),
        ),
        (
            "mute",
            ClientMessage::Mute(Mute {
                source: Source::Camera,
                audio: true,
                video: false,
            }),
        ),
        ("music", ClientMessage::Music(Music { on: true })),
        (
            "watch",
            ClientMessage::Watch(Watch {
                tracks: vec![WatchTrack {
                    id: BEN.to_owned(),
                    source: Source::Camera,
                    width: 640,
                    height: 360,
                    priority: Priority::High,
                }],
            }),
        ),
        (
            "silence",
            ClientMessage::Silence(Silence {
                ids: vec![BEN.to_owned()],
            }),
        ),
        ("hand", ClientMessage::Hand(Hand { raised: true })),
        (
            "rename",
            ClientMessage::Rename(Rename {
                name: "Ada L.".to_owned(),
            }),
        ),
        ("leave", ClientMessage::Leave),
    ]
}

fn moderations() -> Vec<(&'static str, Moderate)> {
    let id = || BEN.to_owned();
    let source = Source::Camera;
    vec![
        (
            "moderate-mute",
            Moderate::Mute {
                id: id(),
                source,
                audio: true,
                video: false,
            },
        ),
        (
            "moderate-unpublish",
            Moderate::Unpublish {
                id: id(),
                source: Source::Screen,
            },
        ),
        ("moderate-stage", Moderate::Stage { id: id(), on: true }),
        (
            "moderate-role",
            Moderate::Role {
                id: id(),
                role: ParticipantRole::Performer,
            },
        ),
        (
            "moderate-remove",
            Moderate::Remove {
                id: id(),
                reason: Some("The rehearsal is over.".to_owned()),
            },
        ),
        ("moderate-lock", Moderate::Lock { on: true }),
        ("moderate-stage-only", Moderate::StageOnly { on: true }),
        ("moderate-lower-hand", Moderate::LowerHand { id: id() }),
        (
            "moderate-stream",
            Moderate::Stream {
                id: Some(id()),
                source,
                stream: Some("guest".to_owned()),
            },
        ),
        (
            "moderate-stream-own",
            Moderate::Stream {
                id: None,
                source,
                stream: None,
            },
        ),
    ]
}

fn ada() -> Participant {
    Participant {
        id: ADA.to_owned(),
        name: "Ada".to_owned(),
        role: ParticipantRole::Participant,
        stage: false,
        hand: None,
        joined: "2026-11-22T18:00:00.000Z".to_owned(),
        reachable: true,
        data: None,
        feeds: vec![Feed {
            source: Source::Camera,
            audio: true,
            video: true,
            muted: Muted {
                audio: false,
                video: true,
            },
            music: false,
            stream: None,
            layers: layers(),
        }],
    }
}

fn ben() -> Participant {
    Participant {
        id: BEN.to_owned(),
        name: "Ben".to_owned(),
        role: ParticipantRole::Viewer,
        stage: true,
        hand: Some("2026-11-22T18:04:05.250Z".to_owned()),
        data: Some("8;Ben".to_owned()),
        feeds: Vec::new(),
        ..ada()
    }
}

fn space() -> Space {
    Space {
        name: "residence".to_owned(),
        locked: false,
        stage_only: true,
    }
}

fn permissions() -> Permissions {
    Permissions {
        publish: true,
        screen: true,
        music: false,
        stream: false,
        moderate: false,
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        server: "proscenium 0.2.0".to_owned(),
        id: ADA.to_owned(),
        resume: "5d1f0c9a7e3b2468".to_owned(),
        media: MediaState::New,
        role: ParticipantRole::Participant,
        permissions: permissions(),
        space: space(),
        participants: vec![ben(), ada()],
        ice_servers: vec![IceServers {
            urls: vec!["turn:turn.example:3478".to_owned()],
            username: Some("proscenium".to_owned()),
            credential: Some("secret".to_owned()),
        }],
        limits: Limits {
            audio_slots: 16,
            video_slots: 49,
            participants: 200,
            loudest: 8,
        },
    }
}

fn from_servers() -> Vec<(&'static str, ServerMessage)> {
    let sdp = || SDP.to_owned();
    let mut messages = vec![
        ("welcome", ServerMessage::Welcome(Box::new(welcome()))),
        ("answer", ServerMessage::Answer { id: 0, sdp: sdp() }),
        ("offer", ServerMessage::Offer { id: 1, sdp: sdp() }),
        ("joined", ServerMessage::Joined { participant: ada() }),
        ("updated", ServerMessage::Updated { participant: ben() }),
        (
            "left",
            ServerMessage::Left(departure(LeaveReason::Lost, None)),
        ),
        (
            "left-removed",
            ServerMessage::Left(departure(
                LeaveReason::Removed,
                Some("The rehearsal is over."),
            )),
        ),
        (
            "participants",
            ServerMessage::Participants {
                joined: vec![ada()],
                updated: Vec::new(),
                left: vec![departure(LeaveReason::Left, None)],
            },
        ),
        ("space", ServerMessage::Space { space: space() }),
        (
            "permissions",
            ServerMessage::Permissions {
                role: ParticipantRole::Viewer,
                permissions: permissions(),
            },
        ),
    ];
    messages.extend(about_media());
    messages
}

fn about_media() -> Vec<(&'static str, ServerMessage)> {
    let slot = |mid: &str, kind: Kind, state: SlotState| Slot {
        mid: mid.to_owned(),
        kind,
        id: BEN.to_owned(),
        source: Source::Camera,
        state,
    };
    let full = Fault::new(
        ErrorCode::Full,
        "residence has room for 200 participants and is full; try again later",
    );
    let conflict = Fault::new(
        ErrorCode::Conflict,
        "offer 2 waits for its answer; wait for it, then offer again",
    );
    let by = || Some(BEN.to_owned());
    let source = Source::Camera;
    vec![
        (
            "slots",
            ServerMessage::Slots {
                slots: vec![
                    slot("4", Kind::Audio, SlotState::Live),
                    slot("7", Kind::Video, SlotState::Paused),
                ],
            },
        ),
        (
            "speakers",
            ServerMessage::Speakers {
                dominant: by(),
                active: vec![Speaker {
                    id: BEN.to_owned(),
                    level: 34,
                }],
            },
        ),
        (
            "layers",
            ServerMessage::Layers {
                source,
                active: vec![true, true, false],
            },
        ),
        (
            "quality",
            ServerMessage::Quality {
                participants: vec![ParticipantQuality {
                    id: BEN.to_owned(),
                    quality: QualityWord::Fair,
                }],
            },
        ),
        (
            "muted",
            ServerMessage::Muted {
                source,
                audio: true,
                video: false,
                by: by(),
            },
        ),
        (
            "unpublished",
            ServerMessage::Unpublished { source, by: by() },
        ),
        ("restart", ServerMessage::Restart),
        ("error", conflict.of("offer").with_id(3).to_message()),
        ("error-full", full.of("join").after(10).to_message()),
    ]
}

fn departure(reason: LeaveReason, message: Option<&str>) -> Departure {
    Departure {
        id: BEN.to_owned(),
        reason,
        message: message.map(str::to_owned),
    }
}
