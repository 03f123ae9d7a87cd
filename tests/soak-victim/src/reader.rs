//! What one subscriber has seen, and what it must see. The same as in scripts/soak/support/roll.js.

use std::sync::atomic::Ordering;

use crate::fail;
use crate::roll::{PUBLISHERS, Roll};

pub struct Reader {
    lossy: bool,
    /// Of each publisher: what is before this number was published before the subscription began, and must not come;
    before: Vec<u32>,
    /// what is not, was published after it, and must come. In between both is right.
    after: Vec<u32>,
    /// Of whom something came: the next number.
    next: Vec<Option<u32>>,
    received: u64,
    /// Messages that were left out, as the numbers show.
    gaps: u64,
}

impl Reader {
    /// Before subscribing.
    pub fn new(roll: &Roll, lossy: bool) -> Self {
        let before = (0..PUBLISHERS).map(|publisher| roll.sent(publisher).load(Ordering::SeqCst)).collect();
        Self { lossy, before, after: Vec::new(), next: vec![None; PUBLISHERS], received: 0, gaps: 0 }
    }

    /// The subscription is there.
    pub fn subscribed(&mut self, roll: &Roll) {
        self.after = (0..PUBLISHERS).map(|publisher| roll.begun(publisher).load(Ordering::SeqCst)).collect();
    }

    pub fn see(&mut self, publisher: usize, number: u32) {
        if publisher >= PUBLISHERS {
            fail(&format!("corrupt: message {number} of {publisher}"));
        }
        let (first, due) = match self.next[publisher] {
            Some(next) => (next, next),
            None => (self.before[publisher], self.after[publisher]),
        };
        if number < first {
            fail(&format!("twice, or too late: message {number} of {publisher} came where {first} was due"));
        }
        if number > due && !self.lossy {
            fail(&format!("lost: messages {due} to {} of {publisher}", number - 1));
        }
        self.gaps += u64::from(number.saturating_sub(due));
        self.received += 1;
        self.next[publisher] = Some(number + 1);
    }

    /// Those that were missed are counted: all that show, and no more than there can have been.
    pub fn look_at(&self, roll: &Roll, missed: u64, closely: bool) {
        if missed < self.gaps || (!self.lossy && missed > 0) {
            fail(&format!("lost: {} messages, and {missed} of them were counted as missed", self.gaps));
        }
        let most = || self.sum(|publisher| roll.begun(publisher).load(Ordering::SeqCst) - self.before[publisher]);
        if closely && self.received + missed > most() {
            fail(&format!("lost: {} received and {missed} missed are more than there were", self.received));
        }
    }

    /// This is what there was. Nobody publishes any more, and there is nothing more to receive.
    pub fn bear_witness(&self, roll: &Roll) {
        for publisher in 0..PUBLISHERS {
            let (begun, sent) = (roll.begun(publisher), roll.sent(publisher));
            let (begun, sent) = (begun.load(Ordering::SeqCst), sent.load(Ordering::SeqCst));
            let next = self.next[publisher].unwrap_or(0);
            if next < sent {
                fail(&format!("lost: messages {next} to {} of {publisher}", sent - 1));
            }
            if next > begun {
                fail(&format!("corrupt: message {} of {publisher}, who sent {begun}", next - 1));
            }
            roll.published(publisher).store(next, Ordering::SeqCst);
        }
        roll.ended(self.received, 0);
    }

    /// With what the witness says.
    pub fn compare(&self, roll: &Roll, missed: u64) {
        self.look_at(roll, missed, true);
        let published = |publisher| roll.published(publisher).load(Ordering::SeqCst);
        for publisher in 0..PUBLISHERS {
            let (next, published) = (self.next[publisher], published(publisher));
            let complete = next.map_or(published <= self.after[publisher], |next| next == published);
            if !self.lossy && !complete {
                fail(&format!("lost: {published} messages of {publisher} were published, and this came to {next:?}"));
            }
        }
        let least = self.sum(|publisher| published(publisher).saturating_sub(self.after[publisher]));
        let most = self.sum(|publisher| published(publisher).saturating_sub(self.before[publisher]));
        let total = self.received + missed;
        if !(least..=most).contains(&total) {
            let received = self.received;
            fail(&format!("lost: {received} received and {missed} missed, of {least} to {most} that were published"));
        }
        roll.ended(self.received, missed);
    }

    fn sum(&self, of: impl Fn(usize) -> u32) -> u64 {
        (0..PUBLISHERS).map(|publisher| u64::from(of(publisher))).sum()
    }
}
