//! Roles that try the codecs: values that come are understood by serde and sent back, values of all forms are made here.

use interproc::queue::{Codec, Options, Tag};
use rmpv::Value;

use crate::{Outcome, say};

/// Sends back what comes, decoded and encoded again with the same codec, until the text `end`.
pub(crate) fn echo(from: &str, to: &str) -> Outcome {
    let mut from = Options::new().create(false).open(from)?;
    let mut json = Options::new().create(false).codec(Codec::Json).open(to)?;
    let mut packed = Options::new().create(false).codec(Codec::MessagePack).open(to)?;
    loop {
        let message = from.receive_message()?;
        match message.tag() {
            Tag::Text if message.body() == b"end" => return Ok(()),
            Tag::Text => json.send_text(&message.decode::<String>()?)?,
            Tag::Bytes => json.send_bytes(message.body())?,
            Tag::Json => match message.decode::<serde_json::Value>() {
                Ok(value) => json.send(&value)?,
                Err(error) => json.send_text(&error.to_string())?,
            },
            _ => match message.decode::<Value>() {
                Ok(value) => packed.send(&value)?,
                Err(error) => packed.send_text(&error.to_string())?,
            },
        }
    }
}

/// Sends random values as MessagePack, and compares what JavaScript makes of them.
pub(crate) fn values(to: &str, back: &str, seed: u64, count: u32) -> Outcome {
    let mut to = Options::new().create(false).codec(Codec::MessagePack).open(to)?;
    let mut back = Options::new().create(false).open(back)?;
    let mut random = Random(seed | 1);
    for number in 0..count {
        let value = if number < 20 { long(number) } else { random.value(0) };
        to.send(&value)?;
        let answer: Value = back.receive()?;
        if normal(answer.clone()) != normal(value.clone()) {
            return Err(format!("seed {seed}, value {number}: {value} came back as {answer}").into());
        }
    }
    say(format_args!("{count} values"));
    Ok(())
}

/// Sends what JavaScript has no value of its own for: `{ type, data }`, and the forms of a time.
pub(crate) fn extensions(to: &str) -> Outcome {
    let mut to = Options::new().create(false).codec(Codec::MessagePack).open(to)?;
    for length in [0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65_535, 65_536] {
        to.send(&Value::Ext(5, vec![9; length]))?;
    }
    to.send(&Value::Ext(-1, 1_700_000_000_u32.to_be_bytes().to_vec()))?;
    to.send(&Value::Ext(-1, (500_000_000_u64 << 34 | 1_700_000_000).to_be_bytes().to_vec()))?;
    to.send(&Value::Ext(-1, [&250_000_000_u32.to_be_bytes()[..], &(-1_i64).to_be_bytes()].concat()))?;
    to.send(&Value::Ext(-1, vec![0; 5]))?;
    Ok(())
}

/// Values at the borders between the forms of MessagePack.
fn long(number: u32) -> Value {
    let size = [15, 16, 31, 32, 255, 256, 65_535, 65_536][number as usize % 8];
    match number / 8 {
        0 => Value::Array(vec![Value::Boolean(true); size]),
        1 => Value::Map((0..size).map(|key| (format!("k{key}").into(), Value::Nil)).collect()),
        _ => Value::Array(vec!["x".repeat(size).into(), Value::Binary(vec![1; size])]),
    }
}

/// As JavaScript has it: a whole float is an integer, and the members of an object have no order.
fn normal(value: Value) -> Value {
    match value {
        Value::F32(float) => normal(Value::F64(f64::from(float))),
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        Value::F64(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 && !negative_zero(float) => {
            Value::from(float as i64)
        }
        Value::F64(float) if float.is_nan() => Value::from("NaN"),
        Value::Array(members) => Value::Array(members.into_iter().map(normal).collect()),
        Value::Map(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(key, value)| (normal(key), normal(value))).collect();
            members.sort_by_key(|(key, _)| key.to_string());
            Value::Map(members)
        }
        other => other,
    }
}

fn negative_zero(float: f64) -> bool {
    float == 0.0 && float.is_sign_negative()
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> usize {
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn value(&mut self, depth: u32) -> Value {
        let kinds = if depth > 5 { 8 } else { 10 };
        match self.below(kinds) {
            0 => Value::Nil,
            1 => Value::Boolean(self.below(2) == 0),
            2 => Value::from(self.next() >> self.below(64)),
            3 => Value::from((self.next() >> self.below(64)).cast_signed().wrapping_neg()),
            4 => Value::F64(f64::from_bits(self.next())),
            5 => Value::F64([0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::MIN, 9e15, 1e16, -1.0][self.below(9)]),
            6 => self.text().into(),
            7 => Value::Binary((0..self.below(40)).map(|byte| u8::try_from(byte).unwrap_or(0)).collect()),
            8 => Value::Array((0..self.below(6)).map(|_| self.value(depth + 1)).collect()),
            _ => {
                let mut members: Vec<(Value, Value)> = Vec::new();
                for _ in 0..self.below(6) {
                    let key = if self.below(8) == 0 { Value::from(self.below(100)) } else { self.text().into() };
                    if members.iter().all(|(known, _)| *known != key) {
                        members.push((key, self.value(depth + 1)));
                    }
                }
                Value::Map(members)
            }
        }
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 12] =
            ["", "a", "__proto__", "constructor", "ü", "🎉", "\0", "\u{feff}", "toJSON", "0", "then", "length"];
        (0..self.below(4)).map(|_| WORDS[self.below(12)]).collect::<Vec<_>>().join("")
    }
}
