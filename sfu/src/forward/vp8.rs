//! VP8 counters, RFC 7741: PictureID and TL0PICIDX must go on by one at a switch, or decoders wait for pictures that
//! never come.

use payload::inspect::Vp8Ids;

/// Rewrites the counters of one source for one viewer.
#[derive(Debug, Default)]
pub(crate) struct Vp8Rewriter {
    picture_id_offset: u16,
    tl0_offset: u8,
    last: Option<(u16, u8)>,
}

impl Vp8Rewriter {
    /// Another source begins with a packet that carries `ids`.
    pub(crate) fn restart(&mut self, ids: Vp8Ids) {
        let (picture_id, tl0) = self.last.unwrap_or((
            ids.picture_id.wrapping_sub(1),
            ids.tl0_pic_idx.unwrap_or(0).wrapping_sub(1),
        ));
        self.picture_id_offset = picture_id.wrapping_add(1).wrapping_sub(ids.picture_id);
        self.tl0_offset = tl0
            .wrapping_add(1)
            .wrapping_sub(ids.tl0_pic_idx.unwrap_or(0));
    }

    /// The outgoing counters; each as wide as it came. `left_out` is how many pictures since the restart and before this
    /// one the viewer does not get: it must not wait for them. TL0PICIDX counts pictures that nobody leaves out.
    pub(crate) fn rewrite(&mut self, ids: Vp8Ids, left_out: u16) -> (u16, Option<u8>) {
        let mask = if ids.wide { 0x7fff } else { 0x7f };
        let offset = self.picture_id_offset.wrapping_sub(left_out);
        let picture_id = ids.picture_id.wrapping_add(offset) & mask;
        let tl0 = ids
            .tl0_pic_idx
            .map(|index| index.wrapping_add(self.tl0_offset));
        let ahead = |last: u16| picture_id.wrapping_sub(last) & mask <= mask / 2;
        match &mut self.last {
            Some((last, last_tl0)) if ahead(*last) => {
                *last = picture_id;
                *last_tl0 = tl0.unwrap_or(*last_tl0);
            }
            Some(_) => {}
            last @ None => *last = Some((picture_id, tl0.unwrap_or(0))),
        }
        (picture_id, tl0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(picture_id: u16, tl0: u8) -> Vp8Ids {
        Vp8Ids {
            picture_id,
            wide: true,
            tl0_pic_idx: Some(tl0),
        }
    }

    #[test]
    fn counters_go_on_by_one_at_a_switch() {
        let mut rewriter = Vp8Rewriter::default();
        rewriter.restart(ids(32_766, 254));
        assert_eq!(rewriter.rewrite(ids(32_766, 254), 0), (32_766, Some(254)));
        assert_eq!(rewriter.rewrite(ids(32_767, 255), 0), (32_767, Some(255)));
        assert_eq!(rewriter.rewrite(ids(0, 0), 0), (0, Some(0)));
        rewriter.restart(ids(500, 9));
        assert_eq!(rewriter.rewrite(ids(500, 9), 0), (1, Some(1)));
        assert_eq!(rewriter.rewrite(ids(502, 9), 0), (3, Some(1)));
        assert_eq!(rewriter.rewrite(ids(501, 9), 0), (2, Some(1)), "late");
        rewriter.restart(ids(7, 7));
        assert_eq!(rewriter.rewrite(ids(7, 7), 0), (4, Some(2)));
    }

    #[test]
    fn pictures_left_out_are_not_counted() {
        let mut rewriter = Vp8Rewriter::default();
        rewriter.restart(ids(10, 1));
        assert_eq!(rewriter.rewrite(ids(10, 1), 0), (10, Some(1)));
        assert_eq!(rewriter.rewrite(ids(12, 1), 1), (11, Some(1)));
        assert_eq!(rewriter.rewrite(ids(14, 2), 2), (12, Some(2)));
        assert_eq!(rewriter.rewrite(ids(12, 1), 1), (11, Some(1)), "late");
        rewriter.restart(ids(32_767, 9));
        assert_eq!(rewriter.rewrite(ids(32_767, 9), 0), (13, Some(3)));
        assert_eq!(rewriter.rewrite(ids(1, 9), 1), (14, Some(3)));
    }

    #[test]
    fn narrow_picture_ids_stay_narrow() {
        let mut rewriter = Vp8Rewriter::default();
        let narrow = |picture_id| Vp8Ids {
            picture_id,
            wide: false,
            tl0_pic_idx: None,
        };
        rewriter.restart(narrow(126));
        assert_eq!(rewriter.rewrite(narrow(126), 0), (126, None));
        rewriter.restart(narrow(3));
        assert_eq!(rewriter.rewrite(narrow(3), 0), (127, None));
        assert_eq!(rewriter.rewrite(narrow(4), 0), (0, None));
    }
}
