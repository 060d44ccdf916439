//! What a role allows, here and now.

use super::io::ParticipantRole;
use super::protocol::Permissions;

/// The rights of a `role`, `on_stage` or not, in a space where only the stage publishes or not.
///
/// Whoever is on stage publishes, whatever the role. Moderators are never cut off by their own switch.
pub(super) fn permissions(role: ParticipantRole, on_stage: bool, stage_only: bool) -> Permissions {
    let publish = on_stage
        || role == ParticipantRole::Moderator
        || (!stage_only && role >= ParticipantRole::Participant);
    let performs = publish && role >= ParticipantRole::Performer;
    Permissions {
        publish,
        screen: publish,
        music: performs,
        stream: performs,
        moderate: role == ParticipantRole::Moderator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ParticipantRole::{Moderator, Participant, Performer, Viewer};

    #[test]
    fn the_rights_follow_from_role_stage_and_the_spaces_switch() {
        // publish and screen, music and stream, moderate
        let table = [
            (Viewer, false, false, [false, false, false]),
            (Viewer, false, true, [false, false, false]),
            (Viewer, true, false, [true, false, false]),
            (Viewer, true, true, [true, false, false]),
            (Participant, false, false, [true, false, false]),
            (Participant, false, true, [false, false, false]),
            (Participant, true, false, [true, false, false]),
            (Participant, true, true, [true, false, false]),
            (Performer, false, false, [true, true, false]),
            (Performer, false, true, [false, false, false]),
            (Performer, true, false, [true, true, false]),
            (Performer, true, true, [true, true, false]),
            (Moderator, false, false, [true, true, true]),
            (Moderator, false, true, [true, true, true]),
            (Moderator, true, false, [true, true, true]),
            (Moderator, true, true, [true, true, true]),
        ];
        for (role, on_stage, stage_only, [publish, performs, moderate]) in table {
            let expected = Permissions {
                publish,
                screen: publish,
                music: performs,
                stream: performs,
                moderate,
            };
            assert_eq!(
                permissions(role, on_stage, stage_only),
                expected,
                "{role:?}, on stage {on_stage}, stage only {stage_only}"
            );
        }
    }
}
