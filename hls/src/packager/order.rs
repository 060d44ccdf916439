//! Decode times for pictures that come out of order.

use std::collections::VecDeque;

/// The depth that is assumed once a picture steps back, if the headers say nothing: a pyramid of B-frames.
const DEPTH_NOTICED: usize = 2;

/// A frame with its decode time. Offsets from it to the time of showing are signed.
pub(crate) struct Ordered<T> {
    pub(crate) decode: i64,
    pub(crate) show: i64,
    pub(crate) item: T,
}

/// Gives the frames of one track, which come in decode order with their times of showing, increasing decode times: the
/// n-th frame is decoded at the n-th time of all that were shown. It looks ahead `depth` frames, none of them while
/// nothing ever stepped back.
pub(crate) struct Order<T> {
    depth: usize,
    held: VecDeque<(i64, T)>,
    times: Vec<i64>,
    last_decode: i64,
    last_show: i64,
}

impl<T> Order<T> {
    pub(crate) fn new() -> Self {
        Self {
            depth: 0,
            held: VecDeque::new(),
            times: Vec::new(),
            last_decode: i64::MIN,
            last_show: i64::MIN,
        }
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Looks ahead at least so far from now on.
    pub(crate) fn expect_depth(&mut self, depth: usize) {
        self.depth = self.depth.max(depth);
    }

    /// Takes the next frame in decode order. Says whether it is the first one to step back.
    pub(crate) fn push(&mut self, show: i64, item: T) -> bool {
        let is_first_step_back = self.depth == 0 && show <= self.last_show;
        if is_first_step_back {
            self.depth = DEPTH_NOTICED;
        }
        self.last_show = show;
        let place = self.times.partition_point(|time| *time <= show);
        self.times.insert(place, show);
        self.held.push_back((show, item));
        is_first_step_back
    }

    /// The next frame, if enough came after it.
    pub(crate) fn pop(&mut self) -> Option<Ordered<T>> {
        if self.held.len() > self.depth {
            self.pop_anyway()
        } else {
            None
        }
    }

    /// The next frame, if there is one: nothing that is shown before it will come.
    pub(crate) fn pop_anyway(&mut self) -> Option<Ordered<T>> {
        let (show, item) = self.held.pop_front()?;
        let decode = self.times.remove(0).max(self.last_decode.saturating_add(1));
        self.last_decode = decode;
        Some(Ordered { decode, show, item })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_times(shown: &[i64], depth: usize) -> Vec<(i64, i64)> {
        let mut order = Order::new();
        order.expect_depth(depth);
        let mut times = Vec::new();
        for show in shown {
            order.push(*show, ());
            while let Some(frame) = order.pop() {
                times.push((frame.decode, frame.show));
            }
        }
        while let Some(frame) = order.pop_anyway() {
            times.push((frame.decode, frame.show));
        }
        times
    }

    #[test]
    fn in_order_nothing_is_held() {
        let mut order = Order::new();
        order.push(10, ());
        assert_eq!(order.pop().unwrap().decode, 10);
    }

    #[test]
    fn a_declared_pyramid_is_decoded_at_the_times_of_showing() {
        let times = decode_times(&[0, 400, 200, 100, 300, 800, 600, 500, 700], 2);
        let decode: Vec<i64> = times.iter().map(|(decode, _)| *decode).collect();
        assert_eq!(decode, [0, 100, 200, 300, 400, 500, 600, 700, 800]);
    }

    #[test]
    fn an_undeclared_step_back_keeps_decode_times_increasing() {
        let times = decode_times(&[0, 300, 100, 200, 600, 400, 500, 900, 700, 800], 0);
        assert!(times.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let shown: Vec<i64> = times.iter().map(|(_, show)| *show).collect();
        assert_eq!(shown, [0, 300, 100, 200, 600, 400, 500, 900, 700, 800]);
        assert_eq!(times[9].0, 900);
    }
}
