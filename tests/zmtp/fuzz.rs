//! Valid streams, damaged at random but the same on every run. `fuzz/` holds the same check for cargo-fuzz, without end.

use interproc::zmtp::encode_message;

use crate::support::{check, greeting, ready};

#[test]
fn damaged_streams_do_no_harm() {
    let streams = streams();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..30_000 {
        let mut stream = streams[random.below(streams.len())].clone();
        for _ in 0..=random.below(4) {
            damage(&mut stream, &mut random);
        }
        check(&stream, 1 + random.below(70));
    }
}

fn streams() -> Vec<Vec<u8>> {
    let start = [&greeting(1)[..], &ready("SUB")].concat();
    let mut messages = start.clone();
    encode_message(&[&b"a"[..], b"", &[1; 300], b"last"], &mut messages);
    encode_message(&[b"\x01topic", b"\0topic"], &mut messages);
    encode_message(&[b"\x01topic"], &mut messages);
    let mut commands = start.clone();
    commands.extend_from_slice(b"\x04\x0f\x09SUBSCRIBEtopic\x04\x0b\x06CANCELtopi\x04\x0a\x04PING\0\x09abc");
    commands.extend_from_slice(b"\x04\x05\x04PONG\x04\x09\x04JOINroom\x06\0\0\0\0\0\0\0\x0a\x05ERROR\x03bad");
    let identity = b"\x04\x2a\x05READY\x0bSocket-Type\0\0\0\x04XSUB\x08Identity\0\0\0\x02me";
    let old = [&greeting(0)[..], identity, b"\0\x01\x01\0\x01\0\x01\x01\x01\0\x01\x02"].concat();
    vec![start, messages, commands, old]
}

/// One of the things that break parsers.
fn damage(stream: &mut Vec<u8>, random: &mut Random) {
    if stream.is_empty() {
        return;
    }
    let at = random.below(stream.len());
    match random.below(7) {
        0 => stream[at] ^= 1 << random.below(8),
        1 => stream[at] = [0, 1, 4, 6, 0x7F, 0x80, 0xFE, 0xFF][random.below(8)],
        2 => stream.truncate(at),
        3 => drop(stream.drain(at..(at + 1 + random.below(9)).min(stream.len()))),
        4 => stream.insert(at, random.byte()),
        5 => {
            let copy = stream[at..(at + 1 + random.below(40)).min(stream.len())].to_vec();
            let to = random.below(stream.len());
            stream.splice(to..to, copy);
        }
        _ => {
            let size = u64::from(random.byte()) << random.below(57);
            let header = [&[2 | [0, 1, 4][random.below(3)]][..], &size.to_be_bytes()].concat();
            stream.splice(at..at, header);
        }
    }
}

/// xorshift64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % bound
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }
}
