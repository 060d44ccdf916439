//! A session's own resource, the same for WHIP and WHEP: trickled candidates, ICE restarts and the end
//! (RFC 9725 sections 4.2 and 4.3), and the answer to a counter-offer (WHEP section 4.2.2).
//!
//! Its URL cannot be guessed (122 random bits) and is what gives the right to change it; no key is asked for again.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use sfu::Role;
use wish::media_type::{SDP, SDPFRAG};
use wish::sdpfrag::{FRAGMENT_MAX, Section};
use wish::{Credentials, EntityTag, Fragment, IfMatch};

use super::AppState;
use super::body;
use super::cors::preflight;
use super::errors::Problem;
use super::offer::{ACCEPT_PATCH, Sdp, reply};
use super::place::Session;
use super::sessions::Facts;
use crate::media::{Gone, Restarted, SessionRecord};

const METHODS: &str = "OPTIONS, GET, HEAD, PATCH, DELETE";
/// What `PATCH` takes from a viewer.
const SDPFRAG_OR_SDP: &str = "application/trickle-ice-sdpfrag, application/sdp";

pub(crate) fn routes(role: Role) -> MethodRouter<AppState> {
    let types = accepted_types(role);
    get(
        async move |State(state): State<AppState>, session: Session| {
            find(&state, &session, role).map(|_| StatusCode::NO_CONTENT)
        },
    )
    .options(async move || preflight(METHODS, &[(ACCEPT_PATCH, types)]))
    .patch(
        async move |State(state): State<AppState>,
                    session: Session,
                    headers: HeaderMap,
                    body: Body| { patch(&state, &session, role, &headers, body).await },
    )
    .delete(
        async move |State(state): State<AppState>, session: Session| {
            delete(&state, &session, role).await
        },
    )
}

fn accepted_types(role: Role) -> &'static str {
    match role {
        Role::Publisher => SDPFRAG,
        Role::Viewer => SDPFRAG_OR_SDP,
        // Participants have a WebSocket, not a resource.
        Role::Participant => "",
    }
}

/// 404 unless the session is there, at this very URL; 410 for a publisher that another one has replaced.
fn find(state: &AppState, session: &Session, role: Role) -> Result<SessionRecord, Problem> {
    let record = state.app.media.directory().session(session.resource);
    record
        .filter(|record| is_at(record, session, role))
        .ok_or_else(|| match gone(state, session, role) {
            Some(Gone::Replaced) => Problem::replaced(),
            Some(Gone::Over) | None => Problem::no_session(),
        })
}

fn is_at(record: &SessionRecord, session: &Session, role: Role) -> bool {
    record.role == role && record.key == session.key
}

/// How a session ended of which its client may not know that it did.
fn gone(state: &AppState, session: &Session, role: Role) -> Option<Gone> {
    let (record, gone) = state.app.media.directory().gone(session.resource)?;
    is_at(&record, session, role).then_some(gone)
}

/// Exactly 200; `If-Match` is ignored. A client that closed its connection first, as OBS does, has ended nothing but what it wanted to
/// end.
async fn delete(state: &AppState, session: &Session, role: Role) -> Result<StatusCode, Problem> {
    if let Err(problem) = find(state, session, role) {
        if gone(state, session, role) != Some(Gone::Over) {
            return Err(problem);
        }
        state.app.media.directory().forget_gone(session.resource);
        state.sessions.remove(session.resource);
        return Ok(StatusCode::OK);
    }
    reply(state.app.media.close(session.resource)).await?;
    state.sessions.remove(session.resource);
    tracing::info!(space = %session.key.space, stream = %session.key.stream, resource = %session.resource, "a session ends");
    Ok(StatusCode::OK)
}

async fn patch(
    state: &AppState,
    session: &Session,
    role: Role,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let record = find(state, session, role)?;
    let accept = (ACCEPT_PATCH, accepted_types(role));
    let kind = body::media_type(headers, accept.clone())?;
    if kind.is(SDP) && role == Role::Viewer {
        return answer(state, session, headers, body).await;
    }
    if !kind.is(SDPFRAG) {
        return Err(body::unsupported(&kind, accept));
    }
    let wanted = if_match(headers)?;
    if wanted
        .as_ref()
        .is_some_and(|wanted| !wanted.matches(&record.etag))
    {
        let detail = "the ETag in If-Match is not the session's present one; use the last one received, or If-Match: * to restart ICE";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
    }
    let bytes = body::read(headers, body, FRAGMENT_MAX).await?;
    let fragment = Fragment::parse(&bytes).map_err(|error| Problem::bad_request(&error))?;
    let credentials = fragment
        .credentials()
        .map_err(|error| Problem::bad_request(&error))?;
    let facts = state.sessions.facts(session.resource);
    let wanted = match wanted {
        Some(wanted) => wanted,
        None if role == Role::Viewer && are_present(credentials, &facts) => IfMatch::Any,
        None => return Err(without_tag()),
    };
    match credentials {
        Some(new) if asks_for_restart(new, &wanted, &facts) => {
            restart(state, session, &fragment, new, &facts).await
        }
        _ => {
            let candidates = fragment.candidates();
            if !candidates.is_empty() {
                reply(state.app.media.add_candidates(session.resource, candidates)).await?;
            }
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}

/// Credentials that are not the present ones ask for a restart, whatever `If-Match` says (RFC 9725 section 4.3.3). Where the
/// present ones are not known, `*` decides.
fn asks_for_restart(new: &Credentials, wanted: &IfMatch, facts: &Facts) -> bool {
    match &facts.remote_ufrag {
        Some(present) => *present != new.ufrag,
        None => *wanted == IfMatch::Any,
    }
}

/// Whether a fragment says by its credentials that it belongs to the present ICE session. medooze's WHEP client sends those and no tag.
fn are_present(credentials: Option<&Credentials>, facts: &Facts) -> bool {
    let said = credentials.map(|credentials| &credentials.ufrag);
    said.is_some() && said == facts.remote_ufrag.as_ref()
}

fn without_tag() -> Problem {
    let detail = "If-Match is missing; send the session's ETag with candidates, or * with new ICE credentials";
    Problem::new(StatusCode::PRECONDITION_REQUIRED, detail)
}

/// All `If-Match` lines as one list (RFC 9110 section 5.3), if there are any.
///
/// # Errors
/// 400 for what cannot be read.
fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Problem> {
    let lines: Result<Vec<_>, _> = headers
        .get_all(header::IF_MATCH)
        .iter()
        .map(HeaderValue::to_str)
        .collect();
    let lines = lines.map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "If-Match is not ASCII; send the ETag of the session",
        )
    })?;
    if lines.is_empty() {
        return Ok(None);
    }
    let parsed = IfMatch::parse(&lines.join(", "));
    parsed
        .map(Some)
        .map_err(|error| Problem::bad_request(&error))
}

/// 200 with our new credentials and all our candidates. When it fails the session goes on as it was.
async fn restart(
    state: &AppState,
    session: &Session,
    asked: &Fragment,
    remote: &Credentials,
    facts: &Facts,
) -> Result<Response, Problem> {
    let Credentials { ufrag, pwd } = remote.clone();
    let restarted = reply(state.app.media.restart_ice(
        session.resource,
        ufrag,
        pwd,
        asked.candidates(),
    ))
    .await?;
    state
        .sessions
        .set_remote_ufrag(session.resource, remote.ufrag.clone());
    let etag = EntityTag::strong(&restarted.etag).to_string();
    let body = restarted_fragment(restarted, asked, facts).to_string();
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDPFRAG));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::ETAG,
        HeaderValue::try_from(etag).expect("a tag is printable ASCII"),
    );
    Ok(response)
}

/// Says everything below the `m=` line and `mid` that the client used, as everything is bundled, and repeats the ICE
/// attributes of our first SDP (RFC 9725 section 4.3.3).
fn restarted_fragment(restarted: Restarted, asked: &Fragment, facts: &Facts) -> Fragment {
    let Restarted {
        ufrag,
        pwd,
        candidates,
        ..
    } = restarted;
    let (line, mid) = match asked.media.first() {
        Some(section) => (section.line.clone(), section.mid.clone()),
        // An early draft's fragment has no m= line; candidates need one all the same (RFC 8840 section 9.2).
        None => (
            "audio 9 UDP/TLS/RTP/SAVPF 0".to_owned(),
            Some("0".to_owned()),
        ),
    };
    Fragment {
        ice_lite: facts.ice_lite,
        ice_options: facts.ice_options.clone(),
        group: asked.group.clone(),
        session: Section::default(),
        media: vec![Section {
            line,
            mid,
            credentials: Some(Credentials { ufrag, pwd }),
            candidates,
            end_of_candidates: true,
        }],
    }
}

/// The answer to a counter-offer: 204. What is no SDP may be sent again, corrected, while the offer is valid; an answer that the
/// media threads refuse ends the session.
async fn answer(
    state: &AppState,
    session: &Session,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let sdp = Sdp::read(headers, body).await?;
    if !state.sessions.take_awaited(session.resource) {
        let detail = "this session waits for no answer; a session cannot be renegotiated, so begin a new one with POST";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let ufrag = sdp.summary().ufrag.to_owned();
    if let Err(problem) = reply(state.app.media.answer(session.resource, sdp.into_text())).await {
        state.sessions.remove(session.resource);
        return Err(problem);
    }
    state.sessions.set_remote_ufrag(session.resource, ufrag);
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|line| (header::IF_MATCH, line.parse().unwrap()));
        lines.collect()
    }

    #[test]
    fn several_if_match_lines_are_one_list() {
        let parsed = if_match(&headers(&["\"a\"", "\"b\""])).unwrap().unwrap();
        assert!(parsed.matches("a") && parsed.matches("b") && !parsed.matches("c"));
    }

    #[test]
    fn a_missing_tag_is_none_and_an_unreadable_one_400() {
        assert!(if_match(&headers(&[])).unwrap().is_none());
        assert_eq!(
            if_match(&headers(&["\"a"])).unwrap_err().status(),
            StatusCode::BAD_REQUEST
        );
    }

    #[test]
    fn new_credentials_ask_for_a_restart_and_the_present_ones_do_not() {
        let check = |present: Option<&str>, ufrag: &str, if_match: &str, expected: bool| {
            let facts = Facts {
                remote_ufrag: present.map(str::to_owned),
                ..Facts::default()
            };
            let new = Credentials {
                ufrag: ufrag.to_owned(),
                pwd: String::new(),
            };
            let wanted = IfMatch::parse(if_match).unwrap();
            assert_eq!(
                asks_for_restart(&new, &wanted, &facts),
                expected,
                "{present:?} {ufrag} {if_match}"
            );
        };
        check(Some("old"), "new", "*", true);
        check(Some("old"), "new", "\"tag\"", true);
        check(Some("old"), "old", "*", false);
        check(Some("old"), "old", "\"tag\"", false);
        check(None, "new", "*", true);
        check(None, "new", "\"tag\"", false);
    }

    #[test]
    fn the_answer_to_a_restart_stands_below_the_clients_own_section() {
        let restarted = || Restarted {
            ufrag: "ufrag".into(),
            pwd: "p".repeat(24),
            candidates: vec!["candidate:1 1 udp 1 192.0.2.1 7900 typ host".into()],
            etag: "tag".into(),
        };
        let facts = Facts {
            ice_lite: true,
            ice_options: Some("trickle ice2".into()),
            ..Facts::default()
        };
        let asked =
            Fragment::parse(b"a=group:BUNDLE a b\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:a\n")
                .unwrap();
        let expected = format!(
            "a=ice-lite\r\na=ice-options:trickle ice2\r\na=group:BUNDLE a b\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:a\r\n\
             a=ice-ufrag:ufrag\r\na=ice-pwd:{}\r\na=candidate:1 1 udp 1 192.0.2.1 7900 typ host\r\na=end-of-candidates\r\n",
            "p".repeat(24)
        );
        assert_eq!(
            restarted_fragment(restarted(), &asked, &facts).to_string(),
            expected
        );
        let early =
            restarted_fragment(restarted(), &Fragment::default(), &Facts::default()).to_string();
        assert!(early.starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"));
    }
}
