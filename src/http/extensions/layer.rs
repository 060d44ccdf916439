//! `core:layer`: which layer of the picture a viewer is sent.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use sfu::{LayerPick, LayerWish};
use url::form_urlencoded;
use uuid::Uuid;

use super::super::errors::{Problem, short};
use super::super::offer::reply;
use super::super::place::Session;
use super::super::{AppState, json};
use super::{find, layers};
use crate::broadcast::Sizes;
use crate::media::{Refused, StreamKey};

/// Names of places, for whoever does not know what a publisher calls its layers.
const AUTO: &str = "auto";
const LOW: &str = "low";
const MEDIUM: &str = "medium";
const HIGH: &str = "high";

/// What is asked for. Both the present draft's `rid` and the earlier ones' `encodingId` are understood; what is left out is chosen by bandwidth.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    media_id: Option<MediaId>,
    encoding_id: Option<String>,
    rid: Option<String>,
    spatial_layer_id: Option<u8>,
    temporal_layer_id: Option<u8>,
    max_spatial_layer_id: Option<u8>,
    max_temporal_layer_id: Option<u8>,
    max_width: Option<u32>,
    max_height: Option<u32>,
}

/// The index of a section; pages send it as text or as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum MediaId {
    Text(String),
    Number(usize),
}

impl MediaId {
    fn index(&self) -> Option<usize> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Number(number) => Some(*number),
        }
    }
}

/// The layers now, as the event says them.
pub(super) async fn look(state: State<AppState>, session: Session) -> Result<Response, Problem> {
    find(&state, &session)?;
    described(&state, &session).await
}

async fn described(State(state): &State<AppState>, session: &Session) -> Result<Response, Problem> {
    let known = reply(state.app.media.layers(session.resource)).await;
    let line = state.sessions.facts(session.resource).video_line;
    let sizes = state.app.broadcast.published().sizes(&session.key);
    let described = layers::described(line.unwrap_or(0), &known?, &sizes);
    Ok(json::answer(&described))
}

/// 200 with the layers when the choice is made; the change itself comes with the layer's next keyframe.
pub(super) async fn choose(
    state: State<AppState>,
    session: Session,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    find(&state, &session)?;
    let wanted: Wanted = json::read(&headers, body).await?;
    let line = state.sessions.facts(session.resource).video_line;
    if let Some(asked) = &wanted.media_id
        && asked.index() != line
    {
        return Err(Problem::unprocessable(match line {
            Some(line) => format!("mediaId is not the picture's; it is \"{line}\" in this session"),
            None => "this session has no picture, and so no layers".into(),
        }));
    }
    let wish = wanted.wish(&state, &session.key)?;
    wish_for(&state, session.resource, wish).await?;
    tracing::debug!(space = %session.key.space, stream = %session.key.stream, resource = %session.resource, ?wanted, "a viewer chose a layer");
    described(&state, &session).await
}

impl Wanted {
    fn wish(&self, state: &AppState, key: &StreamKey) -> Result<LayerWish, Problem> {
        let name = self.encoding_id.as_deref().or(self.rid.as_deref());
        let names = names(state, key);
        let pick = match pick(name.unwrap_or(AUTO), &names)? {
            // Who names a layer has seen how large it is.
            LayerPick::Any => {
                let sizes = state.app.broadcast.published().sizes(key);
                self.within(&names, &sizes)
            }
            picked => picked,
        };
        Ok(LayerWish {
            pick,
            spatial_max: least(self.spatial_layer_id, self.max_spatial_layer_id),
            temporal_max: least(self.temporal_layer_id, self.max_temporal_layer_id),
        })
    }

    /// The layers that are no larger than asked for; the lowest when all are. Of what is not known nothing is left out.
    fn within(&self, names: &[String], sizes: &Sizes) -> LayerPick {
        let (widest, highest) = (self.max_width, self.max_height);
        let fits = |at: usize| {
            sizes.get(&at).is_none_or(|(width, height)| {
                widest.is_none_or(|most| *width <= most)
                    && highest.is_none_or(|most| *height <= most)
            })
        };
        let fitting: Vec<String> = names
            .iter()
            .enumerate()
            .filter(|(at, _)| fits(*at))
            .map(|(_, name)| name.clone())
            .collect();
        match fitting.len() {
            0 if !names.is_empty() => LayerPick::Lowest,
            all if all == names.len() => LayerPick::Any,
            _ => LayerPick::Named(fitting),
        }
    }
}

/// `?layer=` of a session that has just begun: it is sent nothing else from the start.
///
/// # Errors
/// 422 when the stream has no such layer.
pub(crate) async fn wish_at_once(
    state: &AppState,
    key: &StreamKey,
    resource: Uuid,
    query: Option<&str>,
) -> Result<(), Problem> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, name)) = pairs.find(|(key, _)| key == "layer") else {
        return Ok(());
    };
    let pick = pick(&name, &names(state, key))?;
    let wish = LayerWish {
        pick,
        ..LayerWish::default()
    };
    wish_for(state, resource, wish).await
}

async fn wish_for(state: &AppState, resource: Uuid, wish: LayerWish) -> Result<(), Problem> {
    match reply(async { Ok(state.app.media.wish_layers(resource, wish).await) }).await? {
        Err(Refused::NotAcceptable(why)) => Err(Problem::unprocessable(short(&why))),
        result => Ok(result?),
    }
}

/// What the publisher calls the layers of its picture.
fn names(state: &AppState, key: &StreamKey) -> Vec<String> {
    state.app.media.directory().layer_names(key)
}

/// The layer of this name, or of this place.
fn pick(name: &str, names: &[String]) -> Result<LayerPick, Problem> {
    if !name.is_empty() && names.iter().any(|known| known == name) {
        return Ok(LayerPick::Named(vec![name.to_owned()]));
    }
    let place = name.parse::<u8>().ok();
    match name {
        "" | AUTO => Ok(LayerPick::Any),
        LOW => Ok(LayerPick::Lowest),
        MEDIUM => Ok(LayerPick::Middle),
        HIGH => Ok(LayerPick::Highest),
        _ => match place.filter(|place| usize::from(*place) < names.len()) {
            Some(place) => Ok(LayerPick::Nth(place)),
            None => Err(Problem::unprocessable(format!(
                "there is no layer {}; this stream has {}, and {LOW}, {MEDIUM}, {HIGH} and {AUTO} are always understood",
                short(name),
                listed(names)
            ))),
        },
    }
}

fn listed(names: &[String]) -> String {
    let named: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    if named.is_empty() {
        "one layer without a name".into()
    } else {
        named.join(", ")
    }
}

fn least(one: Option<u8>, other: Option<u8>) -> Option<u8> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_layer_is_found_by_name_and_then_by_place() {
        let check = |names: &[&str], asked: &str, expected: Option<LayerPick>| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            assert_eq!(pick(asked, &names).ok(), expected, "{asked} of {names:?}");
        };
        let named = |name: &str| Some(LayerPick::Named(vec![name.into()]));
        let obs = ["0", "1", "2"];
        check(&obs, "0", named("0"));
        check(&obs, "low", Some(LayerPick::Lowest));
        check(&obs, "3", None);
        let browser = ["q", "h", "f"];
        check(&browser, "h", named("h"));
        check(&browser, "1", Some(LayerPick::Nth(1)));
        check(&browser, "high", Some(LayerPick::Highest));
        check(&browser, "", Some(LayerPick::Any));
        check(&browser, "x", None);
        check(&browser, "-1", None);
        check(&["low", "high"], "high", named("high"));
        check(&[""], "medium", Some(LayerPick::Middle));
        check(&[""], "0", Some(LayerPick::Nth(0)));
        check(&[""], "hd", None);
    }

    #[test]
    fn what_is_refused_is_422_and_says_what_there_is() {
        let refused = pick("x\"\r\n", &["q".into(), "h".into()]).unwrap_err();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.detail().contains("this stream has q, h"));
        assert!(!refused.detail().contains('\n'));
    }

    #[test]
    fn a_limit_of_size_leaves_out_what_is_larger() {
        let names = ["q".to_owned(), "h".to_owned(), "f".to_owned()];
        let sizes = Sizes::from([(0, (320, 180)), (1, (640, 360)), (2, (1280, 720))]);
        let within = |max_width, max_height, sizes: &Sizes| {
            let wanted = Wanted {
                max_width,
                max_height,
                ..Wanted::default()
            };
            wanted.within(&names, sizes)
        };
        let two = LayerPick::Named(vec!["q".into(), "h".into()]);
        assert_eq!(within(Some(640), None, &sizes), two);
        assert_eq!(within(Some(4000), Some(400), &sizes), two);
        assert_eq!(within(Some(100), None, &sizes), LayerPick::Lowest);
        assert_eq!(within(None, None, &sizes), LayerPick::Any);
        assert_eq!(within(Some(1280), Some(720), &sizes), LayerPick::Any);
        assert_eq!(within(Some(100), None, &Sizes::new()), LayerPick::Any);
    }

    #[test]
    fn what_pages_send_is_understood() {
        let read = |text: &str| serde_json::from_str::<Wanted>(text).unwrap();
        let page = read(r#"{"mediaId":"1","encodingId":"h"}"#);
        assert_eq!(page.media_id.and_then(|id| id.index()), Some(1));
        assert_eq!(page.encoding_id.as_deref(), Some("h"));
        let draft = read(
            r#"{"mediaId":0,"rid":"hd","temporalLayerId":2,"maxTemporalLayerId":1,"targetBitrate":1}"#,
        );
        assert_eq!(draft.media_id.and_then(|id| id.index()), Some(0));
        assert_eq!(
            least(draft.temporal_layer_id, draft.max_temporal_layer_id),
            Some(1)
        );
    }
}
