//! Repeats, read back by the crate that reads the headers. That they decode to the picture before, bit for bit, is for a
//! decoder to say: see the end-to-end tests.

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::nal::slice::{PicOrderCountLsb, SliceHeader};
use h264_reader::nal::{Nal, RefNal};
use payload::h264::units::NalUnits;

use super::*;

/// Main profile, CABAC, 16x16, `pic_order_cnt_type` 0 with 6 bits, one reference: written by hand.
fn sets(references: u32) -> Bytes {
    use payload::bits::Writer;
    let mut sps = Writer::default();
    for (value, bits) in [(0x67, 8), (77, 8), (0, 8), (30, 8)] {
        sps.bits(value, bits);
    }
    for value in [0, 0, 0, 2, references] {
        sps.exp_golomb(value);
    }
    sps.bits(0, 1);
    sps.exp_golomb(0);
    sps.exp_golomb(0);
    sps.bits(0b1100, 4);
    sps.bits(1, 1);
    let mut pps = Writer::default();
    pps.bits(0x68, 8);
    pps.exp_golomb(0);
    pps.exp_golomb(0);
    pps.bits(0b10, 2);
    for _ in 0..3 {
        pps.exp_golomb(0);
    }
    pps.bits(0, 3);
    for _ in 0..3 {
        pps.signed_exp_golomb(0);
    }
    pps.bits(0b100, 3);
    pps.bits(1, 1);
    units(&[&sps.bytes, &pps.bytes])
}

fn units(units: &[&[u8]]) -> Bytes {
    let mut bytes = BytesMut::new();
    for unit in units {
        bytes.put_u32(unit.len() as u32);
        bytes.put_slice(unit);
    }
    bytes.freeze()
}

fn picture(number: u32) -> Bytes {
    use payload::bits::Writer;
    let is_key = number == 0;
    let mut slice = Writer::default();
    slice.bits(if is_key { 0x65 } else { 0x61 }, 8);
    slice.exp_golomb(0);
    slice.exp_golomb(if is_key { 7 } else { 5 });
    slice.exp_golomb(0);
    slice.bits(number % 16, 4);
    if is_key {
        slice.exp_golomb(0);
    }
    slice.bits(number * 2 % 64, 6);
    if is_key {
        slice.bits(0, 2);
    } else {
        slice.bits(0, 3);
        slice.exp_golomb(0);
    }
    slice.signed_exp_golomb(0);
    slice.exp_golomb(1);
    while !slice.is_aligned() {
        slice.bits(1, 1);
    }
    // What an arithmetic coder writes may look like a start code, but for the byte that prevents it.
    slice.bytes.extend([0x12, 0, 0, 3, 1, 0x80]);
    units(&[&slice.bytes])
}

fn start(references: u32) -> (H264, Coded) {
    let mut h264 = H264::default();
    assert!(h264.take(sets(references)).unwrap().is_none());
    let coded = h264.take(picture(0)).unwrap().unwrap();
    (h264, coded)
}

/// `nal_ref_idc`, `frame_num`, `pic_order_cnt_lsb` and the end of the only slice in `payload`.
fn numbers(h264: &H264, payload: &Payload) -> (u8, u16, u32) {
    let bytes: Vec<u8> = payload.iter().flatten().copied().collect();
    let unit = NalUnits::new(&bytes).next().unwrap().unwrap();
    let nal = RefNal::new(&bytes[unit.body], &[], true);
    let header = nal.header().unwrap();
    let (slice, ..) =
        SliceHeader::from_bits(h264.store.context(), &mut nal.rbsp_bits(), header).unwrap();
    let Some(PicOrderCountLsb::Frame(order)) = slice.pic_order_cnt_lsb else {
        panic!("the order is of type 0");
    };
    (header.nal_ref_idc(), slice.frame_num, order)
}

fn repeat(h264: &mut H264, recipe: &Recipe) -> (Payload, Recipe) {
    let Recipe::H264(slice) = recipe else {
        panic!("a recipe for H.264");
    };
    let (bytes, next) = h264.repeat(slice).unwrap();
    (vec![bytes], Recipe::H264(next.unwrap()))
}

#[test]
fn with_one_reference_repeats_take_its_place_and_what_follows_is_renumbered() {
    let (mut h264, coded) = start(1);
    let mut recipe = coded.recipe.unwrap();
    for number in 1..=20_u16 {
        let (payload, next) = repeat(&mut h264, &recipe);
        let expected = (1, number % 16, u32::from(number) * 2 % 64);
        assert_eq!(numbers(&h264, &payload), expected);
        recipe = next;
    }
    let mut coded = h264.take(picture(1)).unwrap().unwrap();
    h264.follow(&mut coded);
    assert_eq!(numbers(&h264, &coded.payload), (3, 21 % 16, 42));
    let bytes = coded.payload.concat();
    assert!(bytes.ends_with(&[0x12, 0, 0, 3, 1, 0x80]));
    let (payload, _) = repeat(&mut h264, &coded.recipe.unwrap());
    assert_eq!(numbers(&h264, &payload), (1, 22 % 16, 44));
    let mut coded = h264.take(picture(0)).unwrap().unwrap();
    h264.follow(&mut coded);
    assert_eq!(coded.payload, [picture(0)], "a keyframe begins anew");
}

#[test]
fn with_more_references_repeats_are_none_and_only_the_order_moves() {
    let (mut h264, coded) = start(3);
    let (first, recipe) = repeat(&mut h264, &coded.recipe.unwrap());
    let (second, _) = repeat(&mut h264, &recipe);
    assert_eq!(numbers(&h264, &first), (0, 1, 2));
    assert_eq!(numbers(&h264, &second), (0, 1, 4));
    let mut coded = h264.take(picture(1)).unwrap().unwrap();
    h264.follow(&mut coded);
    assert_eq!(numbers(&h264, &coded.payload), (3, 1, 6));
}

#[test]
fn a_long_row_of_repeats_keeps_the_order_within_half_its_range() {
    let (mut h264, coded) = start(3);
    let mut recipe = coded.recipe.unwrap();
    for _ in 0..100 {
        let (payload, next) = repeat(&mut h264, &recipe);
        assert!(numbers(&h264, &payload).2 < 32);
        recipe = next;
    }
    let mut coded = h264.take(picture(1)).unwrap().unwrap();
    h264.follow(&mut coded);
    assert!(numbers(&h264, &coded.payload).2 < 32);
}
