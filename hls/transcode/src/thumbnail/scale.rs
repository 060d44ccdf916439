//! From a decoded picture to a small one in JPEG's colours.

/// A decoded picture, 4:2:0 with 8 bits.
pub(super) struct Planes<'a> {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    /// Bytes from row to row, of each plane.
    pub strides: (usize, usize, usize),
    pub y: &'a [u8],
    pub cb: &'a [u8],
    pub cr: &'a [u8],
}

/// How the planes' numbers stand for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colours {
    /// Black is 0 and not 16.
    pub is_full_range: bool,
    /// The matrix of ITU-R BT.709 and not that of BT.601.
    pub is_bt709: bool,
}

/// A picture in the colours of JFIF: the matrix of BT.601, full range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub width: u16,
    pub height: u16,
    /// Three bytes a pixel.
    pub pixels: Vec<u8>,
}

/// Averages areas until the picture is at most `width_max` pixels wide. `None` if the planes are shorter than they
/// claim.
pub(super) fn shrink(planes: &Planes<'_>, colours: Colours, width_max: usize) -> Option<Picture> {
    let width = planes.width.min(width_max);
    let height = (planes.height * width)
        .checked_div(planes.width)?
        .max(usize::from(planes.height > 0));
    let to = (width, height);
    let chroma = (planes.width.div_ceil(2), planes.height.div_ceil(2));
    let y = average(
        planes.y,
        planes.strides.0,
        (planes.width, planes.height),
        to,
    )?;
    let cb = average(
        planes.cb,
        planes.strides.1,
        clip(chroma, planes.cb, planes.strides.1)?,
        to,
    )?;
    let cr = average(
        planes.cr,
        planes.strides.2,
        clip(chroma, planes.cr, planes.strides.2)?,
        to,
    )?;
    let mut pixels = Vec::with_capacity(3 * width * height);
    for ((y, cb), cr) in y.into_iter().zip(cb).zip(cr) {
        pixels.extend(colours.to_jfif(y, cb, cr));
    }
    Some(Picture {
        width: u16::try_from(width).ok()?,
        height: u16::try_from(height).ok()?,
        pixels,
    })
}

/// Of an odd number of rows, the decoder says that half of them, rounded down, have colours.
fn clip((width, height): (usize, usize), plane: &[u8], stride: usize) -> Option<(usize, usize)> {
    Some((width, height.min(plane.len().checked_div(stride)?)))
}

/// One plane in another size: each sample is the mean of those that it covers, or the nearest one where it covers none.
fn average(
    plane: &[u8],
    stride: usize,
    (width, height): (usize, usize),
    to: (usize, usize),
) -> Option<Vec<u8>> {
    if width == 0 || height == 0 || width > stride {
        return None;
    }
    let range = |at: usize, from: usize, to: usize| {
        let begin = at * from / to;
        begin..((at + 1) * from / to).max(begin + 1)
    };
    let mut averages = Vec::with_capacity(to.0 * to.1);
    let mut sums = vec![0u32; width];
    for row in 0..to.1 {
        let rows = range(row, height, to.1);
        sums.fill(0);
        for row in rows.clone() {
            let samples = plane.get(row * stride..row * stride + width)?;
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum += u32::from(*sample);
            }
        }
        for column in 0..to.0 {
            let columns = range(column, width, to.0);
            let count = (rows.len() * columns.len()) as u32;
            let sum: u32 = sums.get(columns)?.iter().sum();
            averages.push(((sum + count / 2) / count) as u8);
        }
    }
    Some(averages)
}

impl Colours {
    fn to_jfif(self, y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
        let (y, cb, cr) = if self.is_full_range {
            (y, cb, cr)
        } else {
            let chroma = 255.0 / 224.0;
            ((y - 16.0) * 255.0 / 219.0, cb * chroma, cr * chroma)
        };
        // The one matrix times the inverse of the other.
        let (y, cb, cr) = if self.is_bt709 {
            (
                y + 0.101_579 * cb + 0.196_076 * cr,
                0.989_854 * cb - 0.110_653 * cr,
                -0.072_453 * cb + 0.983_398 * cr,
            )
        } else {
            (y, cb, cr)
        };
        // Saturates.
        [y, cb + 128.0, cr + 128.0].map(|value| value.round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Colours = Colours {
        is_full_range: true,
        is_bt709: false,
    };

    fn rgb(jfif: [u8; 3]) -> [i32; 3] {
        let [y, cb, cr] = jfif.map(f32::from);
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        [
            y + 1.402 * cr,
            y - 0.344_136 * cb - 0.714_136 * cr,
            y + 1.772 * cb,
        ]
        .map(|value| value.round().clamp(0.0, 255.0) as i32)
    }

    #[test]
    fn colours_of_television_become_those_of_jpeg() {
        // Black, white, and the pure colours in the numbers of BT.709 and BT.601 with limited range.
        let table = [
            (true, [16, 128, 128], [0, 0, 0]),
            (true, [235, 128, 128], [255, 255, 255]),
            (true, [63, 102, 240], [255, 0, 0]),
            (true, [173, 42, 26], [0, 255, 0]),
            (true, [32, 240, 118], [0, 0, 255]),
            (false, [81, 90, 240], [255, 0, 0]),
            (false, [145, 54, 34], [0, 255, 0]),
            (false, [41, 240, 110], [0, 0, 255]),
        ];
        for (is_bt709, [y, cb, cr], expected) in table {
            let colours = Colours {
                is_full_range: false,
                is_bt709,
            };
            let found = rgb(colours.to_jfif(y, cb, cr));
            let is_near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 3);
            assert!(is_near, "{y} {cb} {cr}: {found:?}, not {expected:?}");
        }
        assert_eq!(FULL.to_jfif(0, 128, 255), [0, 128, 255]);
    }

    #[test]
    fn every_sample_counts_the_same() {
        let plane: Vec<u8> = (0..64).collect();
        let averages = average(&plane, 8, (8, 8), (2, 2)).unwrap();
        assert_eq!(averages, [14, 18, 46, 50]);
        let wider = average(&[10, 20], 2, (2, 1), (4, 2)).unwrap();
        assert_eq!(wider, [10, 10, 20, 20, 10, 10, 20, 20]);
        assert_eq!(average(&plane, 8, (7, 7), (7, 7)).unwrap()[6], 6);
    }

    #[test]
    fn shapes_are_kept_down_to_one_pixel() {
        for ((width, height), expected) in [
            ((640, 360), (320, 180)),
            ((1_080, 1_920), (320, 568)),
            ((320, 240), (320, 240)),
            ((17, 2), (17, 2)),
            ((4_096, 2), (320, 1)),
            ((641, 361), (320, 180)),
        ] {
            let (y, chroma) = (vec![99; width * height], vec![120; width * height]);
            let planes = Planes {
                width,
                height,
                strides: (width, width, width),
                y: &y,
                cb: &chroma,
                cr: &chroma,
            };
            let picture = shrink(&planes, FULL, 320).unwrap();
            assert_eq!((picture.width, picture.height), expected);
            assert_eq!(
                picture.pixels.len(),
                3 * expected.0 as usize * expected.1 as usize
            );
            assert!(
                picture
                    .pixels
                    .chunks(3)
                    .all(|pixel| pixel == [99, 120, 120])
            );
        }
    }

    #[test]
    fn planes_that_are_too_short_give_no_picture() {
        let plane = [0; 100];
        for (width, height, stride) in [(0, 0, 0), (10, 11, 10), (11, 5, 10), (10, 0, 10)] {
            let planes = Planes {
                width,
                height,
                strides: (stride, stride, stride),
                y: &plane,
                cb: &plane,
                cr: &plane,
            };
            assert_eq!(shrink(&planes, FULL, 320), None, "{width} x {height}");
        }
    }
}
