//! Arguments and values.

use rosc::{OscArray, OscColor, OscMidiMessage, OscTime, OscType};
use serde_json::{Value, json};

use super::super::value::{from_args, position, to_args};

#[test]
fn every_type_of_argument_has_a_value() {
    let check = |arg: OscType, expected: Value| {
        assert_eq!(from_args(std::slice::from_ref(&arg)), expected, "{arg:?}");
    };
    check(OscType::Int(-7), json!(-7));
    check(
        OscType::Long(9_007_199_254_740_993),
        json!(9_007_199_254_740_993_i64),
    );
    check(OscType::Float(0.1), json!(0.1));
    check(OscType::Float(f32::MAX), json!(3.4028235e38));
    check(OscType::Float(f32::NAN), Value::Null);
    check(OscType::Float(f32::INFINITY), Value::Null);
    check(OscType::Double(0.1), json!(0.1));
    check(OscType::Double(f64::NEG_INFINITY), Value::Null);
    check(OscType::String("grün".into()), json!("grün"));
    check(OscType::Char('x'), json!("x"));
    check(OscType::Bool(true), json!(true));
    check(OscType::Bool(false), json!(false));
    check(OscType::Nil, Value::Null);
    check(OscType::Inf, Value::Null);
    check(OscType::Blob(vec![0, 255]), json!("AP8="));
    let (red, green, blue, alpha) = (255, 0, 16, 1);
    let color = OscColor {
        red,
        green,
        blue,
        alpha,
    };
    check(OscType::Color(color), json!("#ff001001"));
    let midi = OscMidiMessage {
        port: 0,
        status: 0x90,
        data1: 60,
        data2: 127,
    };
    check(OscType::Midi(midi), json!([0, 144, 60, 127]));
    let time = |seconds, fractional| {
        OscType::Time(OscTime {
            seconds,
            fractional,
        })
    };
    check(time(2_208_988_801, 1 << 31), json!(1500));
    check(time(0, 1), Value::Null);
    check(time(2_208_988_799, 0), Value::Null);
    let content = vec![
        OscType::Int(1),
        OscType::Array(OscArray { content: vec![] }),
    ];
    check(OscType::Array(OscArray { content }), json!([1, []]));
}

#[test]
fn one_argument_is_itself_and_several_are_an_array() {
    assert_eq!(from_args(&[]), Value::Null);
    assert_eq!(from_args(&[OscType::Int(1)]), json!(1));
    let several = [OscType::Int(1), OscType::String("go".into()), OscType::Nil];
    assert_eq!(from_args(&several), json!([1, "go", null]));
}

#[test]
fn values_become_arguments_that_every_program_reads() {
    let check = |value: Value, expected: Vec<OscType>| {
        assert_eq!(to_args(&value), expected, "{value}");
    };
    let text = |text: &str| OscType::String(text.to_owned());
    check(json!(3), vec![OscType::Int(3)]);
    check(json!(0.5), vec![OscType::Float(0.5)]);
    check(json!(3.0), vec![OscType::Float(3.0)]);
    check(
        json!(1_u64 << 40),
        vec![OscType::Float((1_u64 << 40) as f32)],
    );
    check(json!(u64::MAX), vec![OscType::Float(u64::MAX as f32)]);
    check(json!("hello"), vec![text("hello")]);
    check(json!("cut\0here"), vec![text("cut")]);
    check(json!(true), vec![OscType::Bool(true)]);
    check(json!(null), vec![OscType::Nil]);
    check(json!([]), vec![]);
    check(
        json!([1, 0.5, "a", false, null]),
        vec![
            OscType::Int(1),
            OscType::Float(0.5),
            text("a"),
            OscType::Bool(false),
            OscType::Nil,
        ],
    );
    check(json!([1, [2]]), vec![text("[1,[2]]")]);
    check(json!({"a": 1}), vec![text("{\"a\":1}")]);
}

#[test]
fn a_position_is_three_or_six_numbers_with_or_without_a_name() {
    let floats =
        |numbers: &[f32]| -> Vec<OscType> { numbers.iter().copied().map(OscType::Float).collect() };
    let six = [1.0, 2.0, 3.0, 0.1, 0.2, 0.3];
    assert_eq!(position(&floats(&six)), Some((None, six)));
    let three = floats(&six[..3]);
    let three = position(&three);
    assert_eq!(three, Some((None, [1.0, 2.0, 3.0, 0.0, 0.0, 0.0])));
    let mut named = vec![OscType::String("ada".into())];
    named.extend(floats(&six));
    assert_eq!(position(&named), Some((Some("ada"), six)));
    let whole = [OscType::Int(1), OscType::Long(2), OscType::Double(0.5)];
    assert_eq!(
        position(&whole),
        Some((None, [1.0, 2.0, 0.5, 0.0, 0.0, 0.0]))
    );
    for wrong in [
        vec![],
        floats(&six[..2]),
        floats(&six[..4]),
        floats(&[1.0; 7]),
        floats(&[1.0, f32::NAN, 3.0]),
        vec![OscType::Double(1e300), OscType::Int(0), OscType::Int(0)],
        vec![
            OscType::Int(1),
            OscType::Int(2),
            OscType::String("3".into()),
        ],
        vec![OscType::String("ada".into())],
    ] {
        assert_eq!(position(&wrong), None, "{wrong:?}");
    }
}
