//! Publishers that wait for a stream which somebody else has (ADR 0017), and backups that stand by (ADR 0026): how many of them one
//! household may have, and all together.
//!
//! Each is a connection with its keys and its packets, which nobody sees. A stream has four and two backups at most, but who has the
//! key of a space, or a space without one, has as many streams as there may be.

use std::net::IpAddr;

use axum::http::StatusCode;
use uuid::Uuid;

use super::AppState;
use super::errors::{FULL_RETRY_S, Problem};
use crate::bus::household;
use crate::media::{StreamKey, TakeOver};

/// What one household may have at least, however small the stage is: as many as may wait for one stream.
const HOUSEHOLD_MIN: usize = 4;

/// Before anything is made of an offer: whether there is room for one more, if it has to wait.
///
/// # Errors
/// 429 when its household has as many as it may have, 503 when everybody together has.
pub(crate) fn check_room(
    state: &AppState,
    key: &StreamKey,
    (address, right): (IpAddr, TakeOver),
) -> Result<(), Problem> {
    match state.app.media.directory().is_taken(key) {
        true => check(state, address, right, 1),
        false => Ok(()),
    }
}

/// Whether a publisher that was told of its session may stay. Of many who came at once none slips past a limit: each is counted
/// before it is looked at.
///
/// # Errors
/// As [`check_room`]; it is to be closed then.
pub(crate) fn check_entered(
    state: &AppState,
    resource: Uuid,
    (address, right): (IpAddr, TakeOver),
) -> Result<(), Problem> {
    let waiting = state.app.media.directory().waiting();
    match waiting.contains(&resource) {
        true => check(state, address, right, 0),
        false => Ok(()),
    }
}

fn check(state: &AppState, address: IpAddr, right: TakeOver, more: usize) -> Result<(), Problem> {
    let waiting = state.app.media.directory().waiting();
    let open = state.app.config.limits.publishers_max.max(HOUSEHOLD_MIN);
    // Whoever has the key comes in, and can take over, when strangers have all other places.
    let most = match right {
        TakeOver::Always => 2 * open,
        TakeOver::SameOwner(_) | TakeOver::OnlyIfSilent => open,
    };
    let refuse =
        |status, detail: String| Err(Problem::new(status, detail).retry_after(FULL_RETRY_S));
    let mine = household(address);
    let is_mine = |resource: &&Uuid| state.sessions.household(**resource).as_ref() == Some(&mine);
    let own = waiting.iter().filter(is_mine).count();
    // Everybody behind a proxy on this machine that is not trusted would be one household.
    if !address.is_loopback() && own + more > (open / 2).max(HOUSEHOLD_MIN).min(open - 1) {
        let detail = format!(
            "{own} publishers from your address wait for their turn already; end one of them first, or wait until it is on stage or, without media, given up after 30 s"
        );
        return refuse(StatusCode::TOO_MANY_REQUESTS, detail);
    }
    if waiting.len() + more > most {
        let detail = format!(
            "{} publishers wait for their turn already, as many as may; try again later",
            waiting.len()
        );
        return refuse(StatusCode::SERVICE_UNAVAILABLE, detail);
    }
    Ok(())
}
