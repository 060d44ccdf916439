//! The arithmetic coder of H.264 (section 9.3.4), as far as "skipped" needs it.

use payload::bits::Writer;

/// `rangeTabLPS` (table 9-44) from state 20: the widths of the less probable symbol by quarter of the range.
const NARROW: [[u32; 4]; 43] = [
    [51, 62, 73, 85],
    [48, 59, 69, 80],
    [46, 56, 66, 76],
    [43, 53, 63, 72],
    [41, 50, 59, 69],
    [39, 48, 56, 65],
    [37, 45, 54, 62],
    [35, 43, 51, 59],
    [33, 41, 48, 56],
    [32, 39, 46, 53],
    [30, 37, 43, 50],
    [29, 35, 41, 48],
    [27, 33, 39, 45],
    [26, 31, 37, 43],
    [24, 30, 35, 41],
    [23, 28, 33, 39],
    [22, 27, 32, 37],
    [21, 26, 30, 35],
    [20, 24, 29, 33],
    [19, 23, 27, 31],
    [18, 22, 26, 30],
    [17, 21, 25, 28],
    [16, 20, 23, 27],
    [15, 19, 22, 25],
    [14, 18, 21, 24],
    [14, 17, 20, 23],
    [13, 16, 19, 22],
    [12, 15, 18, 21],
    [12, 14, 17, 20],
    [11, 14, 16, 19],
    [11, 13, 15, 18],
    [10, 12, 15, 17],
    [10, 12, 14, 16],
    [9, 11, 13, 15],
    [9, 11, 12, 14],
    [8, 10, 12, 14],
    [8, 9, 11, 13],
    [7, 9, 11, 12],
    [7, 9, 10, 12],
    [7, 8, 10, 11],
    [6, 8, 9, 11],
    [6, 7, 9, 10],
    [6, 7, 8, 9],
];

/// The first state that `NARROW` has.
const FIRST_STATE: usize = 20;

struct Coder<'a> {
    writer: &'a mut Writer,
    low: u32,
    range: u32,
    outstanding: u32,
    is_first: bool,
}

impl Coder<'_> {
    fn put(&mut self, bit: u32) {
        if self.is_first {
            self.is_first = false;
        } else {
            self.writer.bits(bit, 1);
        }
        while self.outstanding > 0 {
            self.writer.bits(1 - bit, 1);
            self.outstanding -= 1;
        }
    }

    fn renormalise(&mut self) {
        while self.range < 256 {
            if self.low < 256 {
                self.put(0);
            } else if self.low >= 512 {
                self.low -= 512;
                self.put(1);
            } else {
                self.low -= 256;
                self.outstanding += 1;
            }
            self.range <<= 1;
            self.low <<= 1;
        }
    }

    /// The more probable symbol of a context in `state`.
    fn probable(&mut self, state: usize) {
        self.range -= NARROW[state - FIRST_STATE][(self.range >> 6 & 3) as usize];
        self.renormalise();
    }

    fn end_of_slice(&mut self, is_end: bool) {
        self.range -= 2;
        if is_end {
            self.low += self.range;
            self.range = 2;
            self.renormalise();
            self.put(self.low >> 9 & 1);
            // The last bit is the stop bit of the unit.
            self.writer.bits(self.low >> 7 & 3 | 1, 2);
        } else {
            self.renormalise();
        }
    }
}

/// Writes the slice data of `macroblocks` skipped ones at the quantiser `qp`, which must be at least 36, aligned and ended.
pub(crate) fn skip_all(writer: &mut Writer, macroblocks: u32, qp: i32) {
    while !writer.is_aligned() {
        writer.bits(1, 1);
    }
    // Context 11 with `cabac_init_idc` 0 (table 9-13): m = 23, n = 33. No neighbour is ever not skipped.
    let mut state = (((23 * qp) >> 4) + 33 - 64) as usize;
    let mut coder = Coder {
        writer,
        low: 0,
        range: 510,
        outstanding: 0,
        is_first: true,
    };
    for left in (0..macroblocks).rev() {
        coder.probable(state);
        state = (state + 1).min(62);
        coder.end_of_slice(left == 0);
    }
}
