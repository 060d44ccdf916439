//! Arguments of OSC and values of messages.

use data_encoding::BASE64;
use rosc::{OscTime, OscType};
use serde_json::{Number, Value, json};

/// Seconds from 1900, where OSC counts from, to 1970 (RFC 5905 section 6).
const SECONDS_TO_1970: i64 = 2_208_988_800;

/// What arguments are as the `value` of a message: nothing is `null`, one is itself, several are an array.
pub(super) fn from_args(args: &[OscType]) -> Value {
    match args {
        [] => Value::Null,
        [one] => from_arg(one),
        several => several.iter().map(from_arg).collect(),
    }
}

fn from_arg(arg: &OscType) -> Value {
    match arg {
        OscType::Int(number) => json!(number),
        OscType::Long(number) => json!(number),
        OscType::Float(number) => short(*number),
        OscType::Double(number) => json!(number),
        OscType::String(text) => json!(text),
        OscType::Char(character) => json!(character),
        OscType::Bool(is_true) => json!(is_true),
        OscType::Blob(bytes) => json!(BASE64.encode(bytes)),
        OscType::Color(color) => json!(format!(
            "#{:02x}{:02x}{:02x}{:02x}",
            color.red, color.green, color.blue, color.alpha
        )),
        OscType::Midi(midi) => json!([midi.port, midi.status, midi.data1, midi.data2]),
        OscType::Time(time) => unix_ms(*time),
        OscType::Array(array) => array.content.iter().map(from_arg).collect(),
        OscType::Nil | OscType::Inf => Value::Null,
    }
}

/// A float as short as it was meant: 0.1, not 0.10000000149011612. What is no number is `null`, as JSON has it.
fn short(number: f32) -> Value {
    let nearest = number.to_string().parse().unwrap_or(f64::from(number));
    Number::from_f64(nearest).map_or(Value::Null, Value::Number)
}

/// Milliseconds since 1970; what is before that, and "at once", is `null`.
fn unix_ms(time: OscTime) -> Value {
    let seconds = i64::from(time.seconds) - SECONDS_TO_1970;
    if seconds < 0 {
        return Value::Null;
    }
    let ms = (u64::from(time.fractional) * 1000) >> 32;
    json!(seconds.unsigned_abs() * 1000 + ms)
}

/// The arguments that say `value`: an array of plain values is one argument each, what is deeper is JSON in a string.
pub(super) fn to_args(value: &Value) -> Vec<OscType> {
    match value {
        Value::Array(values) if values.iter().all(is_plain) => values.iter().map(to_arg).collect(),
        other => vec![to_arg(other)],
    }
}

fn is_plain(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn to_arg(value: &Value) -> OscType {
    match value {
        Value::Null => OscType::Nil,
        Value::Bool(is_true) => OscType::Bool(*is_true),
        Value::Number(number) => to_number(number),
        Value::String(text) => to_text(text.clone()),
        Value::Array(_) | Value::Object(_) => to_text(value.to_string()),
    }
}

/// `i` and `f` are what every program understands; a whole number that is too large for `i` is a float.
fn to_number(number: &Number) -> OscType {
    match number.as_i64().map(i32::try_from) {
        Some(Ok(whole)) => OscType::Int(whole),
        _ => OscType::Float(number.as_f64().unwrap_or_default() as f32),
    }
}

/// A NUL ends a string of OSC; what is behind one would be read as something else.
fn to_text(text: String) -> OscType {
    OscType::String(match text.split_once('\0') {
        Some((before, _)) => before.to_owned(),
        None => text,
    })
}

/// Six numbers from `x y z` or `x y z rx ry rz`, and whom they are of when a name is in front.
///
/// # Errors
/// `None` when there are more or fewer, or when one is no finite number.
pub(super) fn position(args: &[OscType]) -> Option<(Option<&str>, [f32; 6])> {
    let (user, numbers) = match args {
        [OscType::String(user), numbers @ ..] => (Some(user.as_str()), numbers),
        numbers => (None, numbers),
    };
    if numbers.len() != 3 && numbers.len() != 6 {
        return None;
    }
    let mut position = [0.0; 6];
    for (place, arg) in position.iter_mut().zip(numbers) {
        let number = match arg {
            OscType::Float(number) => *number,
            OscType::Double(number) => *number as f32,
            OscType::Int(number) => *number as f32,
            OscType::Long(number) => *number as f32,
            _ => return None,
        };
        *place = Some(number).filter(|number| number.is_finite())?;
    }
    Some((user, position))
}
