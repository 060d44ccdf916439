//! Real AAC through the transcoder, decoded again and measured.

use std::f32::consts::TAU;

use bytes::Bytes;
use opus_rs::OpusDecoder;

use super::*;

const HZ: f32 = 1_000.0;

/// `seconds` of a tone of [`HZ`] that begins after `silence`, as AAC-LC access units with their configuration.
fn tone(rate: u32, channels: usize, silence: f32, seconds: f32) -> (Vec<u8>, Vec<Unit>) {
    let plane: Vec<f32> = (0..(seconds * rate as f32) as usize)
        .map(|i| i as f32 / rate as f32)
        .map(|at| {
            if at < silence {
                0.0
            } else {
                0.25 * (at * HZ * TAU).sin()
            }
        })
        .collect();
    let mut options = syom::EncodeOptions::raw();
    options.bitrate_bps = 128_000.min(5 * rate * channels as u32);
    let mut encoder = syom::Encoder::new(rate, channels, &options).unwrap();
    let mut units = Vec::new();
    let mut keep = |frame: syom::EncodedFrame<'_>| {
        let elapsed = Some(units.len() as i64 * 1_024);
        units.push(Unit {
            elapsed,
            data: Bytes::copy_from_slice(frame.payload),
        });
        Ok(())
    };
    encoder
        .feed(&vec![&plane[..]; channels], &mut keep)
        .unwrap();
    encoder.finish(&mut keep).unwrap();
    (encoder.asc().to_vec(), units)
}

fn transcode(transcoder: &mut Transcoder, units: &[Unit]) -> Vec<OpusPacket> {
    units
        .iter()
        .flat_map(|unit| transcoder.push(unit).unwrap())
        .collect()
}

/// The left channel.
fn decode(packets: &[OpusPacket], channels: usize) -> Vec<f32> {
    let mut decoder = OpusDecoder::new(RATE as i32, channels).unwrap();
    let mut samples = Vec::new();
    for packet in packets {
        let mut frame = vec![0.0; FRAME * channels];
        assert_eq!(
            decoder.decode(&packet.payload, FRAME, &mut frame).unwrap(),
            FRAME
        );
        samples.extend(frame.iter().step_by(channels));
    }
    samples
}

/// Amplitude of the part of `samples` that has the frequency `hz`, by correlation with it.
fn amplitude(samples: &[f32], hz: f32) -> f32 {
    let (mut real, mut imaginary) = (0.0f64, 0.0f64);
    for (i, sample) in samples.iter().enumerate() {
        let angle = f64::from(hz) * std::f64::consts::TAU * i as f64 / f64::from(RATE);
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    (2.0 * real.hypot(imaginary) / samples.len() as f64) as f32
}

fn check(rate: u32, channels: usize) {
    let (asc, units) = tone(rate, channels, 0.0, 3.0);
    let mut transcoder = Transcoder::new(Input::Aac(&asc), rate).unwrap();
    assert_eq!(transcoder.is_stereo(), channels == 2);
    let packets = transcode(&mut transcoder, &units);
    let length = packets.len() as f32 * 0.02;
    let fed = units.len() as f32 * 1_024.0 / rate as f32;
    assert!(
        (fed - 0.045..=fed).contains(&length),
        "{rate} Hz: {length} s of {fed} s"
    );
    for (index, packet) in packets.iter().enumerate() {
        assert_eq!(
            (packet.elapsed, packet.starts),
            (index as i64 * 960, index == 0),
            "{rate} Hz"
        );
        assert!(packet.payload.len() <= OPUS_MAX);
    }
    let samples = decode(&packets, channels);
    let middle = &samples[48_000..96_000];
    let tone = amplitude(middle, HZ);
    let energy = (middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32).sqrt();
    assert!((0.22..0.28).contains(&tone), "{rate} Hz: amplitude {tone}");
    assert!(
        (energy * 2f32.sqrt() / tone - 1.0).abs() < 0.02,
        "{rate} Hz: {energy} holds more than the tone {tone}"
    );
}

#[test]
fn a_tone_keeps_its_pitch_level_and_length_at_every_sample_rate_of_cameras() {
    for rate in [8_000, 16_000, 22_050, 32_000, 44_100, 48_000] {
        check(rate, 1);
    }
    check(44_100, 2);
    check(48_000, 2);
}

#[test]
fn sound_comes_out_at_its_time_within_the_delay_of_two_codecs() {
    for rate in [16_000, 44_100, 48_000] {
        let (asc, units) = tone(rate, 1, 1.0, 2.0);
        let packets = transcode(
            &mut Transcoder::new(Input::Aac(&asc), rate).unwrap(),
            &units,
        );
        let onset = decode(&packets, 1)
            .iter()
            .position(|sample| sample.abs() > 0.1)
            .unwrap();
        let late_ms = (onset as f32 / 48.0) - 1_000.0;
        // One AAC frame of the encoder in this test, which its timestamps do not know, and 6.5 ms of Opus.
        let encoder_ms = 1_024_000.0 / rate as f32;
        assert!(
            (-5.0..encoder_ms + 15.0).contains(&late_ms),
            "{rate} Hz: {late_ms} ms"
        );
    }
}

#[test]
fn a_gap_is_left_where_units_are_missing() {
    let (asc, units) = tone(48_000, 1, 0.0, 2.0);
    let mut transcoder = Transcoder::new(Input::Aac(&asc), 48_000).unwrap();
    let before = transcode(&mut transcoder, &units[..40]);
    let after = transcode(&mut transcoder, &units[60..]);
    assert!(after[0].starts);
    assert_eq!(after[0].elapsed, 60 * 1_024);
    assert!(before.last().unwrap().elapsed < after[0].elapsed);
}

#[test]
fn units_without_a_timestamp_follow_the_one_before() {
    let (asc, mut units) = tone(44_100, 2, 0.0, 1.0);
    units
        .iter_mut()
        .skip(1)
        .step_by(2)
        .for_each(|unit| unit.elapsed = None);
    let packets = transcode(
        &mut Transcoder::new(Input::Aac(&asc), 44_100).unwrap(),
        &units,
    );
    assert!(
        packets
            .windows(2)
            .all(|pair| pair[1].elapsed - pair[0].elapsed == 960)
    );
    assert!(packets.len() >= 48);
}

#[test]
fn units_that_cannot_be_decoded_cost_a_gap_and_nothing_else() {
    let (asc, units) = tone(48_000, 1, 0.0, 2.0);
    let mut transcoder = Transcoder::new(Input::Aac(&asc), 48_000).unwrap();
    let mut state = 7u32;
    for (index, unit) in units.iter().enumerate() {
        let mut data = unit.data.to_vec();
        if index % 10 == 5 {
            data.iter_mut().for_each(|byte| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte ^= (state >> 24) as u8;
            });
        }
        if index % 10 == 7 {
            data.clear();
        }
        transcoder
            .push(&Unit {
                elapsed: unit.elapsed,
                data: data.into(),
            })
            .unwrap();
    }
    assert!(transcoder.failures() >= 9);
    let packets = transcode(&mut transcoder, &units);
    assert!(amplitude(&decode(&packets, 1)[24_000..72_000], HZ) > 0.22);
}

#[test]
fn wild_timestamps_and_configurations_do_no_harm() {
    let (asc, units) = tone(48_000, 1, 0.0, 0.2);
    let mut transcoder = Transcoder::new(Input::Aac(&asc), 1).unwrap();
    for wild in [i64::MAX, i64::MIN, 0, -1, 1 << 40] {
        transcoder
            .push(&Unit {
                elapsed: Some(wild),
                data: units[3].data.clone(),
            })
            .unwrap();
    }
    for asc in [&[][..], &[0], &[0xff; 5], &[0x12], &[0, 0]] {
        assert!(
            Transcoder::new(Input::Aac(asc), 48_000).is_err(),
            "{asc:02x?}"
        );
    }
}

fn packets_of(data: &[u8], piece: usize, ticks: i64) -> Vec<Unit> {
    let pieces = data.chunks(piece).enumerate();
    pieces
        .map(|(index, piece)| Unit {
            elapsed: Some(index as i64 * ticks),
            data: Bytes::copy_from_slice(piece),
        })
        .collect()
}

/// A second of it in the middle.
fn check_tone(mut transcoder: Transcoder, units: &[Unit], channels: usize) {
    assert_eq!(transcoder.is_stereo(), channels == 2);
    let packets = transcode(&mut transcoder, units);
    assert!((145..=150).contains(&packets.len()), "{}", packets.len());
    let samples = decode(&packets, channels);
    let middle = &samples[48_000..96_000];
    let tone = amplitude(middle, HZ);
    let energy = (middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32).sqrt();
    assert!((0.22..0.28).contains(&tone), "amplitude {tone}");
    assert!(
        (energy * 2f32.sqrt() / tone - 1.0).abs() < 0.05,
        "{energy} holds more than the tone {tone}"
    );
}

#[test]
fn linear_samples_keep_pitch_and_level() {
    for (rate, channels) in [(8_000u32, 1), (44_100, 2), (48_000, 1), (48_000, 6)] {
        let samples = (0..3 * rate).map(|i| 0.25 * (i as f32 / rate as f32 * HZ * TAU).sin());
        let words = samples.map(|sample| ((sample * 32_767.0) as i16).to_be_bytes());
        let data: Vec<u8> = words.flat_map(|word| word.repeat(channels)).collect();
        let per_packet = rate as usize / 50;
        let units = packets_of(&data, 2 * channels * per_packet, per_packet as i64);
        let input = Input::L16 { rate, channels };
        let transcoder = Transcoder::new(input, rate).unwrap();
        check_tone(transcoder, &units, channels.min(2));
    }
}

#[test]
fn g722_of_another_encoder_keeps_pitch_and_level() {
    // ffmpeg -f lavfi -i "aevalsrc=0.25*sin(2*PI*1000*t):s=16000:d=3" -c:a g722 -f g722 tone.g722
    let data = include_bytes!("tone.g722");
    assert_eq!(data.len(), 24_000);
    // A packet of 20 ms has 160 bytes, which are 160 ticks, and 320 samples.
    let units = packets_of(data, 160, 160);
    check_tone(Transcoder::new(Input::G722, 8_000).unwrap(), &units, 1);
}

#[test]
fn a_packet_that_is_cut_off_costs_no_more_than_itself() {
    let input = Input::L16 {
        rate: 48_000,
        channels: 2,
    };
    for input in [input, Input::G722] {
        let mut transcoder = Transcoder::new(input, 48_000).unwrap();
        for (elapsed, length) in [(0, 0), (1, 1), (2, 3), (3, 7), (960, 3_840)] {
            let data = vec![1; length].into();
            let elapsed = Some(elapsed);
            transcoder.push(&Unit { elapsed, data }).unwrap();
        }
        assert!(transcoder.failures() > 0);
    }
}

#[test]
fn g711_by_either_law_keeps_pitch_level_and_time() {
    use audio_codec::Encoder as _;
    let tone: Vec<i16> = (0..16_000)
        .map(|at| (8_192.0 * (at as f32 / 8_000.0 * HZ * TAU).sin()) as i16)
        .collect();
    let alaw = audio_codec::pcma::PcmaEncoder::new().encode(&tone);
    let mulaw = audio_codec::pcmu::PcmuEncoder::new().encode(&tone);
    for (input, bytes) in [(Input::Pcma, alaw), (Input::Pcmu, mulaw)] {
        let mut transcoder = Transcoder::new(input, 8_000).unwrap();
        assert!(!transcoder.is_stereo());
        let units: Vec<Unit> = bytes
            .chunks(160)
            .enumerate()
            .map(|(at, data)| Unit {
                elapsed: Some(at as i64 * 160),
                data: Bytes::copy_from_slice(data),
            })
            .collect();
        let packets = transcode(&mut transcoder, &units);
        let times: Vec<i64> = packets.iter().map(|packet| packet.elapsed).collect();
        let expected: Vec<i64> = (0..packets.len() as i64).map(|at| at * 960).collect();
        assert_eq!(times, expected, "{input:?}");
        assert!(packets.len() >= 95, "{input:?}: {} packets", packets.len());
        let level = amplitude(&decode(&packets, 1)[24_000..72_000], HZ);
        assert!((0.22..0.28).contains(&level), "{input:?}: {level}");
    }
}
