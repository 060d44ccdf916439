//! From an address to a playing camera.

use std::time::Duration;

use bytes::Bytes;
use mp4_atom::{Atom, Avcc};
use retina::client::{
    Described, InitialTimestampPolicy, PlayOptions, Playing, Session, SessionOptions, SetupOptions,
    TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::ParametersRef;

use super::retry::Fault;
use super::sound::{self, Offered, SoundKind};
use super::url::{RedactedUrl, Transport};

/// For the TCP connection and the description: so long at first, twice as long after each failure. A question that was put
/// while the camera started may never be answered.
const DESCRIBE_MIN: Duration = Duration::from_secs(3);
const DESCRIBE_MAX: Duration = Duration::from_secs(10);
/// For the TCP connection to a camera that was away. A packet into the dark is sent again by the system only after one, then
/// two, then four seconds; a new connection asks at once.
const REACH_MAX: Duration = Duration::from_secs(1);
/// RTSP without a port in the address, RFC 2326 section 3.2.
const RTSP_PORT: u16 = 554;
/// For setting up the tracks and starting them.
const PLAY_MAX: Duration = Duration::from_secs(10);
/// RFC 2326 section 7.1.1.
const UNSUPPORTED_TRANSPORT: u16 = 461;

/// Why a camera does not play, in words that tell what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no answer; is the camera switched on, and its address right?")]
    Timeout,
    #[error("the camera refuses user and password (status {0}); check them in the address")]
    Refused(u16),
    #[error(
        "the camera knows no such path (status 404); its manual names the one of its H.264 stream"
    )]
    UnknownPath,
    #[error(
        "the camera sends {0}, which cannot be shown; set its video encoding to H.264, or take the address of its stream that is H.264"
    )]
    NoVideo(String),
    #[error(
        "the camera refuses this transport (status 461); without transport= in the address, the other one is tried next"
    )]
    Transport,
    #[error("{0}")]
    Failed(String),
}

impl ConnectError {
    /// How it is to be treated.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Timeout | Self::Failed(_) => Fault::Away,
            Self::Refused(_) => Fault::Refused,
            Self::UnknownPath | Self::NoVideo(_) | Self::Transport => Fault::Unfit,
        }
    }
}

/// A sound track that is played.
#[derive(Debug)]
pub(crate) struct Sound {
    /// Its place in the camera's description.
    pub stream: usize,
    /// Of its timestamps, in Hz.
    pub clock_rate: u32,
    pub kind: SoundKind,
}

/// A camera that plays.
pub(crate) struct Connected {
    pub session: Session<Playing>,
    /// Place of the video in the camera's description.
    pub video: usize,
    /// Of the video's timestamps, in Hz.
    pub video_clock_rate: u32,
    /// As the description has them; cameras send them with their key frames as well, or do not.
    pub parameter_sets: Vec<Bytes>,
    pub sound: Option<Sound>,
    pub transport: Transport,
}

/// Connects and starts the tracks; `failures` is how often that failed since the camera played last.
pub(crate) async fn connect(
    url: &RedactedUrl,
    transport: Transport,
    failures: u32,
) -> Result<Connected, ConnectError> {
    if failures > 0 {
        reach(url).await?;
    }
    let options = SessionOptions::default()
        .creds(url.credentials())
        .user_agent("proscenium".to_owned());
    let describe = Session::describe(url.request_url(), options);
    let described = timed(describe_max(failures), describe).await?;
    let mut session = described.map_err(|error| explain(url, &error))?;
    let (video, video_clock_rate, parameter_sets) = choose_video(&session)?;
    let sound = choose_sound(url, &session);
    let streams = std::iter::once(video).chain(sound.as_ref().map(|sound| sound.stream));
    let setup = async {
        for stream in streams {
            let transport = match transport {
                Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
                Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
            };
            let options = SetupOptions::default().transport(transport);
            session.setup(stream, options).await?;
        }
        let options = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        session.play(options).await
    };
    let session = timed(PLAY_MAX, setup)
        .await?
        .map_err(|error| explain(url, &error))?;
    Ok(Connected {
        session,
        video,
        video_clock_rate,
        parameter_sets,
        sound,
        transport,
    })
}

async fn timed<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, ConnectError> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| ConnectError::Timeout)
}

/// Whether anybody is there.
async fn reach(url: &RedactedUrl) -> Result<(), ConnectError> {
    let address = url.request_url();
    let host = address.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = address.port().unwrap_or(RTSP_PORT);
    let connecting = tokio::net::TcpStream::connect((host, port));
    match timed(REACH_MAX, connecting).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(ConnectError::Failed(url.redact(&error.to_string()))),
    }
}

fn describe_max(failures: u32) -> Duration {
    DESCRIBE_MIN
        .saturating_mul(1 << failures.min(8))
        .min(DESCRIBE_MAX)
}

/// What people call a format that browsers do not take, or that HLS and recordings cannot carry.
fn plain_name(encoding: &str) -> &str {
    match encoding {
        "jpeg" => "MJPEG",
        "vp8" => "VP8",
        "vp9" => "VP9",
        "h265" => "H.265",
        "mp4v-es" => "MPEG-4 Visual",
        other => other,
    }
}

/// The library's words without the address and without addresses of machines.
pub(crate) fn explain(url: &RedactedUrl, error: &retina::Error) -> ConnectError {
    match error.status_code() {
        Some(status @ (401 | 403)) => ConnectError::Refused(status),
        Some(404) => ConnectError::UnknownPath,
        Some(UNSUPPORTED_TRANSPORT) => ConnectError::Transport,
        _ => ConnectError::Failed(url.redact(&error.to_string())),
    }
}

fn choose_video(session: &Session<Described>) -> Result<(usize, u32, Vec<Bytes>), ConnectError> {
    let streams = session.streams();
    let is_h264 = |stream: &retina::client::Stream| {
        stream.media() == "video" && stream.encoding_name() == "h264"
    };
    let Some(index) = streams.iter().position(is_h264) else {
        let pictures = streams
            .iter()
            .filter(|stream| matches!(stream.media(), "video" | "image"));
        let offered: Vec<&str> = pictures
            .take(8)
            .map(|stream| plain_name(stream.encoding_name()))
            .collect();
        let offered = if offered.is_empty() {
            "no picture".to_owned()
        } else {
            offered.join(" and ")
        };
        return Err(ConnectError::NoVideo(offered));
    };
    let mut parameter_sets = Vec::new();
    if let Some(ParametersRef::Video(parameters)) = streams[index].parameters()
        && let Ok(avcc) = Avcc::decode_body(&mut parameters.extra_data())
    {
        let sets = avcc
            .sequence_parameter_sets
            .into_iter()
            .chain(avcc.picture_parameter_sets);
        parameter_sets.extend(sets.map(Bytes::from));
    }
    Ok((index, streams[index].clock_rate_hz(), parameter_sets))
}

/// The first sound track that can be used.
fn choose_sound(url: &RedactedUrl, session: &Session<Described>) -> Option<Sound> {
    let sounds = || {
        session
            .streams()
            .iter()
            .enumerate()
            .filter(|(_, stream)| stream.media() == "audio")
    };
    let chosen = sounds().find_map(|(index, stream)| {
        let parameters =
            sound::parameters_of(session.sdp(), stream.media(), stream.rtp_payload_type());
        let kind = SoundKind::of(Offered {
            encoding: stream.encoding_name(),
            clock_rate: stream.clock_rate_hz(),
            channels: stream.channels().map(Into::into),
            parameters: &parameters,
        })?;
        Some(Sound {
            stream: index,
            clock_rate: stream.clock_rate_hz(),
            kind,
        })
    });
    if let (None, Some((_, stream))) = (&chosen, sounds().next()) {
        let (encoding, clock_rate) = (stream.encoding_name(), stream.clock_rate_hz());
        tracing::warn!(
            camera = %url, encoding,
            clock_rate,
            "a camera's sound is left out; choose AAC, Opus, G.722, L16 or G.711 at 8 kHz in its settings"
        );
    }
    chosen
}
