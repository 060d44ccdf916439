//! Where somebody is, as JSON and as bytes.

/// Where somebody is and where they look.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Position {
    /// X, Y and Z, in the units of the space.
    pub place: [f32; 3],
    /// Rotation about X, Y and Z, in the units of the space.
    pub rotation: [f32; 3],
}
