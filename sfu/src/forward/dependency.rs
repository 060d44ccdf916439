//! AV1 frame numbers: a receiver waits for the frames that a descriptor says are needed, so that the numbers must go on
//! whatever the source does. Numbers left out are no matter: what is needed is named by its distance.

use crate::packet::Dependency;

/// Rewrites the frame numbers of one source for one viewer.
#[derive(Debug, Default)]
pub(crate) struct DependencyRewriter {
    /// Outgoing minus source, modulo 2^16.
    offset: u16,
    last: Option<u16>,
}

impl DependencyRewriter {
    /// Another source, or another place of the same one, begins with frame `number`.
    pub(crate) fn restart(&mut self, number: u16) {
        let next = self.last.map_or(number, |last| last.wrapping_add(1));
        self.offset = next.wrapping_sub(number);
    }

    /// The descriptor as it leaves.
    pub(crate) fn rewrite(&mut self, dependency: &Dependency) -> Dependency {
        let frame_number = dependency.frame_number.wrapping_add(self.offset);
        let is_ahead = |last: u16| frame_number.wrapping_sub(last) < 1 << 15;
        if self.last.is_none_or(is_ahead) {
            self.last = Some(frame_number);
        }
        Dependency {
            bytes: dependency.bytes.clone(),
            frame_number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_numbers_go_on_at_a_switch_and_keep_their_distances() {
        let mut rewriter = DependencyRewriter::default();
        let number = |rewriter: &mut DependencyRewriter, frame_number| {
            let bytes = [0_u8; 3].as_slice().into();
            let out = rewriter.rewrite(&Dependency {
                bytes,
                frame_number,
            });
            out.frame_number
        };
        rewriter.restart(65_534);
        assert_eq!(number(&mut rewriter, 65_534), 65_534);
        assert_eq!(number(&mut rewriter, 1), 1, "three were left out");
        assert_eq!(number(&mut rewriter, 0), 0, "late");
        rewriter.restart(700);
        assert_eq!(number(&mut rewriter, 700), 2);
        assert_eq!(number(&mut rewriter, 704), 6);
        rewriter.restart(3);
        assert_eq!(number(&mut rewriter, 3), 7);
    }
}
