//! Outgoing RTP sequence numbers: gap-free where packets were left out on purpose, with the source's own gaps kept so
//! that a viewer asks for what was really lost.

/// Rewrites one source's extended sequence numbers into one viewer's.
///
/// Outgoing numbers start at 1: a fresh SRTP receiver assumes rollover counter 0 (RFC 3711 section 3.3.1).
#[derive(Debug, Default)]
pub(crate) struct SequenceRewriter {
    /// Source number of the first packet of the current run; earlier ones are not this viewer's.
    first: u64,
    /// Outgoing number of `first`.
    first_out: u64,
    /// The highest number given out; 0 before the first.
    highest: u64,
}

impl SequenceRewriter {
    /// The next packet comes from another source, or from another place of the same one, and begins at `source`.
    pub(crate) fn restart(&mut self, source: u64) {
        self.first = source;
        self.first_out = self.highest + 1;
    }

    /// The outgoing number for `source`, or `None` for a packet from before the restart.
    pub(crate) fn rewrite(&mut self, source: u64) -> Option<u64> {
        let out = self.first_out + source.checked_sub(self.first)?;
        self.highest = self.highest.max(out);
        Some(out)
    }

    /// Whether `out` is the highest number given out.
    pub(crate) fn is_newest(&self, out: u64) -> bool {
        out == self.highest
    }

    /// Leaves a hole that nothing will fill.
    pub(crate) fn skip(&mut self) {
        self.highest += 1;
    }

    /// A number for a packet that the source did not send; everything after it moves up by one.
    pub(crate) fn insert(&mut self) -> u64 {
        let out = self.first_out;
        self.first_out += 1;
        self.highest = self.highest.max(out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_gaps_stay_and_switches_leave_none() {
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(1000);
        assert_eq!(rewriter.rewrite(1000), Some(1));
        assert_eq!(rewriter.rewrite(1003), Some(4));
        assert_eq!(rewriter.rewrite(1001), Some(2), "late, still ours");
        assert_eq!(rewriter.rewrite(999), None, "before our time");
        rewriter.restart(70_000);
        assert_eq!(rewriter.rewrite(70_000), Some(5));
        assert_eq!(rewriter.rewrite(1004), None, "the old source is gone");
    }

    #[test]
    fn an_inserted_packet_moves_the_rest_up() {
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(10);
        assert_eq!(rewriter.insert(), 1);
        assert_eq!(rewriter.rewrite(10), Some(2));
        assert_eq!(rewriter.rewrite(11), Some(3));
    }
}
