//! Positions in the ring, and the word that says what became of the record at a position.
//!
//! A ring has 2^bits slots. A position counts slots since the ring was made; its low bits are the slot's index, the bits
//! above are the lap. The state of the record that begins at a slot is one word, so that one compare-and-swap names the
//! lap, the length and the owner together:
//!
//! ```text
//! 63                                  12            3        0
//! | lap (52 - bits) | slots - 1 (bits) | owner (9) | status (3) |
//! ```

/// Seats in a ring: owners that a state can name.
pub(crate) const SEATS: usize = 512;

const STATUS_BITS: u32 = 3;
const OWNER_BITS: u32 = 9;
const LOW_BITS: u32 = STATUS_BITS + OWNER_BITS;
/// Positions wrap at 2^52: seven years at twenty million slots a second, and the arithmetic survives it.
const POSITION_BITS: u32 = 64 - LOW_BITS;
pub(super) const POSITION_MASK: u64 = (1 << POSITION_BITS) - 1;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// The owner writes it. Nobody else touches its slots.
    Writing = 1,
    /// It waits for a receiver.
    Ready = 2,
    /// It waits again: a receiver that had it died or gave it back.
    Again = 3,
    /// The owner reads it.
    Reading = 4,
    /// It was received.
    Done = 5,
    /// It never came to be: a filler at the ring's end, or its writer died.
    Aborted = 6,
}

/// A state word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) lap: u64,
    /// Slots of the record, 1 to 2^bits.
    pub(crate) slots: u32,
    pub(crate) owner: u16,
    pub(crate) status: Status,
}

/// How large a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    bits: u32,
}

impl Shape {
    /// Slots of the largest ring: 2^30 of 64 bytes.
    pub(crate) const MAX_BITS: u32 = 30;

    /// A ring of 2^bits slots; `None` if we make none of that size.
    pub(crate) fn new(bits: u32) -> Option<Self> {
        (bits <= Self::MAX_BITS).then_some(Self { bits })
    }

    pub(crate) fn slots(self) -> u32 {
        1 << self.bits
    }

    /// The slot of a position.
    pub(crate) fn index(self, position: u64) -> usize {
        // Below 2^30.
        usize::try_from(position & (u64::from(self.slots()) - 1)).unwrap_or(usize::MAX)
    }

    pub(crate) fn lap(self, position: u64) -> u64 {
        (position & POSITION_MASK) >> self.bits
    }

    /// The position one lap into the ring: there a new one begins, because an all-zero state is of lap 0.
    pub(crate) fn origin(self) -> u64 {
        u64::from(self.slots())
    }

    /// Is `lap` one of the past, seen from `now`?
    pub(crate) fn is_older(self, lap: u64, now: u64) -> bool {
        let bits = POSITION_BITS - self.bits;
        let behind = now.wrapping_sub(lap) & ((1 << bits) - 1);
        behind != 0 && behind < 1 << (bits - 1)
    }

    pub(crate) fn pack(self, state: State) -> u64 {
        let slots = u64::from(state.slots - 1);
        (state.lap << (LOW_BITS + self.bits))
            | (slots << LOW_BITS)
            | (u64::from(state.owner) << STATUS_BITS)
            | u64::from(state.status as u8)
    }

    /// `None` for a word that is no state: never used, or damaged.
    pub(crate) fn unpack(self, word: u64) -> Option<State> {
        let status = match word & ((1 << STATUS_BITS) - 1) {
            1 => Status::Writing,
            2 => Status::Ready,
            3 => Status::Again,
            4 => Status::Reading,
            5 => Status::Done,
            6 => Status::Aborted,
            _ => return None,
        };
        let slots = (word >> LOW_BITS) & (u64::from(self.slots()) - 1);
        let owner = (word >> STATUS_BITS) & (SEATS as u64 - 1);
        Some(State {
            lap: self.lap_of(word),
            // Below 2^30 and 2^9.
            slots: u32::try_from(slots).ok()? + 1,
            owner: u16::try_from(owner).ok()?,
            status,
        })
    }

    /// The lap of any word, also of one that was never used (lap 0).
    pub(crate) fn lap_of(self, word: u64) -> u64 {
        word >> (LOW_BITS + self.bits)
    }
}

/// The position `slots` further on.
pub(crate) fn advance(position: u64, slots: u32) -> u64 {
    position.wrapping_add(u64::from(slots)) & POSITION_MASK
}

/// Slots from `from` on to `to`; huge if `to` is behind `from`.
pub(crate) fn distance(from: u64, to: u64) -> u64 {
    to.wrapping_sub(from) & POSITION_MASK
}

/// Is `position` behind `than`?
pub(crate) fn is_behind(position: u64, than: u64) -> bool {
    let ahead = distance(position, than);
    ahead != 0 && ahead < 1 << (POSITION_BITS - 1)
}

/// The `free` word: a position, and a count of the subscriptions that changed who must be waited for.
pub(crate) fn pack_free(position: u64, version: u64) -> u64 {
    (position << LOW_BITS) | (version & ((1 << LOW_BITS) - 1))
}

pub(crate) fn unpack_free(word: u64) -> (u64, u64) {
    (word >> LOW_BITS, word & ((1 << LOW_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_status() -> impl Strategy<Value = Status> {
        prop::sample::select(vec![
            Status::Writing,
            Status::Ready,
            Status::Again,
            Status::Reading,
            Status::Done,
            Status::Aborted,
        ])
    }

    proptest! {
        #[test]
        fn a_state_survives_its_word(bits in 0u32..=30, position: u64, part: u32, owner in 0u16..512, status in any_status()) {
            let shape = Shape::new(bits).unwrap();
            let slots = part % shape.slots() + 1;
            let state = State { lap: shape.lap(position), slots, owner, status };
            prop_assert_eq!(shape.unpack(shape.pack(state)), Some(state));
        }

        #[test]
        fn any_word_unpacks_within_bounds(bits in 0u32..=30, word: u64) {
            let shape = Shape::new(bits).unwrap();
            if let Some(state) = shape.unpack(word) {
                prop_assert!(state.slots >= 1 && state.slots <= shape.slots());
                prop_assert!(usize::from(state.owner) < SEATS);
            }
        }

        #[test]
        fn order_survives_the_wrap(near in 0u64..1000, slots in 1u32..1000, bits in 0u32..=8) {
            let before = POSITION_MASK - near;
            let after = advance(before, slots);
            prop_assert!(is_behind(before, after));
            prop_assert!(!is_behind(after, before));
            prop_assert_eq!(distance(before, after), u64::from(slots));
            let shape = Shape::new(bits).unwrap();
            let next = advance(before, shape.slots());
            prop_assert!(shape.is_older(shape.lap(before), shape.lap(next)));
            prop_assert!(!shape.is_older(shape.lap(next), shape.lap(before)));
        }

        #[test]
        fn free_keeps_both_parts(position in 0u64..=POSITION_MASK, version in 0u64..4096) {
            prop_assert_eq!(unpack_free(pack_free(position, version)), (position, version));
        }
    }
}
