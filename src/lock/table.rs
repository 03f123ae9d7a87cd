//! The table of all requests of a user, as one process sees it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::abandoned::{Abandoned, remembers};
use super::bell::Bell;
use super::mutex::World;
use super::outcome::{Answer, Id, Outcome, Patience};
use super::record::{Key, Mode, Record, SHARDS, State, Words, owner_of, owner_word};
use super::shard::{Ask, Entered, Locked};
use crate::shm::{Create, CreateError, Kind, Name, Open, OpenError, Place, Region, Segment, futex};

/// How long an event loop waits for a part of the table that another process changes just now, the first time.
pub(super) const BRIEF: Duration = Duration::from_millis(20);

/// The segment of the user's locks.
const NAME: &str = "interproc locks";

/// All requests of a user. One per process; `Send` and `Sync`.
#[derive(Debug)]
pub struct Table {
    segment: Arc<Segment>,
    me: u64,
    /// Shards that someone kept longer than there was patience, when it was last tried.
    kept: [AtomicBool; SHARDS],
    pub(super) abandoned: Abandoned,
}

impl Table {
    /// The table of this user, made where there is none, or where the one that there was has been removed.
    ///
    /// # Errors
    /// As [`Segment::open_or_create`].
    pub fn shared() -> Result<Arc<Self>, OpenError> {
        static TABLE: Mutex<Weak<Table>> = Mutex::new(Weak::new());
        let mut known = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = known.upgrade().filter(|table| table.is_linked()) {
            return Ok(table);
        }
        let table = Arc::new(Self::open(Name::new(NAME)?)?);
        table.segment.keep_if(remembers);
        *known = Arc::downgrade(&table);
        Ok(table)
    }

    /// A table of another name. That of the user remembers deaths beyond its last user, this one does not.
    ///
    /// # Errors
    /// As [`Segment::open_or_create`].
    pub fn open(name: Name) -> Result<Self, OpenError> {
        let size = (SHARDS * size_of::<Words>()) as u64;
        let create = Create { kind: Kind::LOCKS, size, persistent: false, params: [0; 8], init: &|_| {} };
        // The records of the dead are found by their owner words, whenever someone meets them.
        let open = Open { kind: Kind::LOCKS, recover: &|_, _| {} };
        let (segment, _) = Segment::open_or_create(&Place::Name(name), &open, &create)?.map_err(refused)?;
        if segment.region().len() < SHARDS * size_of::<Words>() {
            return Err(OpenError::Corrupt("too small for a table of locks"));
        }
        let me = owner_word(segment.own());
        let kept = [const { AtomicBool::new(false) }; SHARDS];
        Ok(Self { segment, me, kept, abandoned: Abandoned::default() })
    }

    /// Asks for a lock or permits, unless the table is busy.
    ///
    /// The key has at most [`MAX_KEY_LEN`](super::MAX_KEY_LEN) bytes; a longer one is [`Outcome::Full`].
    pub fn request(&self, key: &[u8], ask: &Ask, patience: impl Into<Patience>) -> Outcome {
        let Some(key) = Key::new(key) else { return Outcome::Full };
        self.with(key.shard(), patience, |locked| {
            let (index, entered) = locked.enter(&key, ask, (self.me, std::process::id()));
            match entered {
                Entered::Held { after_death } => Outcome::Held { id: self.id(key.shard(), index), after_death },
                Entered::Waiting => self.waiting(locked, &key, ask.mode, index),
                Entered::Unavailable => Outcome::Unavailable,
                Entered::Full => Outcome::Full,
                Entered::LimitDiffers(limit) => Outcome::LimitDiffers(limit),
            }
        })
        .unwrap_or(Outcome::Busy)
    }

    /// Waits for a notification of `key`, if `unchanged` says so once nobody can notify unseen.
    pub fn wait(&self, key: &[u8], agent: u64, patience: impl Into<Patience>, unchanged: &dyn Fn() -> bool) -> Outcome {
        let Some(key) = Key::new(key) else { return Outcome::Full };
        let ask = Ask { mode: Mode::Wait, count: 1, limit: 0, agent, if_available: false, steal: false };
        self.with(key.shard(), patience, |locked| {
            let Some(index) = locked.insert(&key, &ask, (self.me, std::process::id())) else { return Outcome::Full };
            // SYNC: pairs with the fence in `notify`: after the number of waiters, the word.
            fence(Ordering::SeqCst);
            if unchanged() {
                return Outcome::Waiting { id: self.id(key.shard(), index), ahead: Vec::new() };
            }
            locked.remove(index);
            Outcome::NotEqual
        })
        .unwrap_or(Outcome::Busy)
    }

    /// Wakes up to `limit` waiters of `key`, and gives their number. `None`: the table is busy.
    pub fn notify(&self, key: &[u8], limit: u32, patience: impl Into<Patience>) -> Option<u32> {
        let Some(key) = Key::new(key) else { return Some(0) };
        // SYNC: pairs with the fence in `wait`: the caller's change of the word comes before the look for waiters.
        fence(Ordering::SeqCst);
        if self.words(key.shard()).waiters.load(Ordering::SeqCst) == 0 || limit == 0 {
            return Some(0);
        }
        self.with(key.shard(), patience, |locked| locked.notify(&key, limit))
    }

    /// Gives back what is held, or takes a request back; what it was. `None`: the table is busy.
    pub fn end(&self, id: Id, patience: impl Into<Patience>) -> Option<Answer> {
        self.finish(id, patience, |locked, index| locked.remove(index))
    }

    /// The same for what may have been granted, but whoever asked was not told: if someone died who had it before, the next one is told.
    pub fn decline(&self, id: Id, patience: impl Into<Patience>) -> Option<Answer> {
        self.finish(id, patience, |locked, index| locked.decline(index))
    }

    fn finish(
        &self,
        id: Id,
        patience: impl Into<Patience>,
        take_out: impl FnOnce(&Locked<'_, Self>, u32),
    ) -> Option<Answer> {
        self.with(id.shard as usize, patience, |locked| {
            let answer = self.look(id);
            let record = self.record(id);
            if answer != Answer::Gone {
                let (key, mode) = (Key::new(&record.key()), record.mode());
                take_out(locked, id.index);
                if let (Some(key), Some(mode)) = (key, mode) {
                    locked.settle(&key, mode);
                }
            }
            answer
        })
    }

    /// Takes a request back if it still waits. `None`: the table is busy.
    pub fn cancel(&self, id: Id, patience: impl Into<Patience>) -> Option<Answer> {
        self.with(id.shard as usize, patience, |locked| {
            let answer = self.look(id);
            let record = self.record(id);
            if answer == Answer::Waiting {
                let (key, mode) = (Key::new(&record.key()), record.mode());
                locked.remove(id.index);
                // Who stood behind may share with those before.
                if let (Some(key), Some(mode)) = (key, mode) {
                    locked.settle(&key, mode);
                }
            }
            answer
        })
    }

    /// What the request is at the moment.
    #[must_use]
    pub fn look(&self, id: Id) -> Answer {
        let record = self.record(id);
        let state = record.state();
        if record.ticket.load(Ordering::Relaxed) != id.ticket || record.owner.load(Ordering::Relaxed) != self.me {
            return Answer::Gone;
        }
        match state {
            State::Waiting => Answer::Waiting,
            State::Held => Answer::Held { after_death: false },
            State::HeldAfterDeath => Answer::Held { after_death: true },
            State::Stolen => Answer::Stolen,
            State::Notified => Answer::Notified,
            State::Free | State::Died => Answer::Gone,
        }
    }

    /// Looks after those before a waiting request: what the dead had is granted to the next.
    pub fn check(&self, id: Id, patience: impl Into<Patience>) {
        self.with(id.shard as usize, patience, |locked| {
            let record = self.record(id);
            if self.look(id) == Answer::Waiting
                && let (Some(key), Some(mode)) = (Key::new(&record.key()), record.mode())
                && locked.reap(&key, mode)
            {
                locked.settle(&key, mode);
            }
        });
    }

    /// Whether other processes still find it: not once someone removed its file.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.segment.linked().unwrap_or(true)
    }

    /// Which part of a table a key belongs to.
    pub(super) fn shard_of(key: &[u8]) -> usize {
        Key::new(key).map_or(0, |key| key.shard())
    }

    /// The word that a blocked thread sleeps on.
    pub(super) fn state_word(&self, id: Id) -> &AtomicU32 {
        &self.record(id).state
    }

    fn waiting(&self, locked: &Locked<'_, Self>, key: &Key, mode: Mode, index: u32) -> Outcome {
        let ahead = locked.ahead(key, mode, index);
        let ahead = ahead.into_iter().filter(|(owner, _)| *owner != self.me).map(|(_, pid)| pid).collect();
        Outcome::Waiting { id: self.id(key.shard(), index), ahead }
    }

    /// Does something with a shard's mutex held. `None`: another kept it longer than there was patience.
    pub(super) fn with<T>(
        &self,
        shard: usize,
        patience: impl Into<Patience>,
        task: impl FnOnce(&Locked<'_, Self>) -> T,
    ) -> Option<T> {
        let kept = &self.kept[shard];
        let until = match patience.into() {
            Patience::Endless => None,
            Patience::Until(deadline) => Some(deadline),
            Patience::Loop(_) if kept.load(Ordering::Relaxed) => Some(Instant::now()),
            Patience::Loop(limit) => Some(Instant::now() + limit),
        };
        let locked = Locked::new(self.words(shard), self.me, self, &Bell::ring, until);
        if locked.is_some() == kept.load(Ordering::Relaxed) {
            kept.store(locked.is_none(), Ordering::Relaxed);
        }
        let locked = locked?;
        self.abandoned.take_out(self, shard, &locked);
        Some(task(&locked))
    }

    fn id(&self, shard: usize, index: u32) -> Id {
        let ticket = self.words(shard).records[index as usize].ticket.load(Ordering::Relaxed);
        Id { shard: u32::try_from(shard).unwrap_or(0), index, ticket }
    }

    pub(super) fn record(&self, id: Id) -> &Record {
        &self.words(id.shard as usize).records[id.index as usize]
    }

    pub(super) fn words(&self, shard: usize) -> &Words {
        words(self.segment.region(), shard)
    }
}

/// `region` is one that [`Table::open`] found long enough.
pub(super) fn words(region: Region<'_>, shard: usize) -> &Words {
    assert!(shard < SHARDS, "ids are made here");
    let start = region.as_ptr().cast::<Words>();
    // SAFETY: below SHARDS, and `open` checked that so many lie in the region.
    let words = unsafe { start.add(shard) };
    // SAFETY: aligned as the page is, mapped as long as the region, any bits are integers, and only atomics touch them.
    unsafe { &*words }
}

impl World for Table {
    fn is_alive(&self, owner: u64) -> bool {
        // Only the kernel's word counts: if it does not answer, the owner is not declared dead.
        owner_of(owner).is_some_and(|owner| self.segment.is_alive(owner).unwrap_or(true))
    }

    fn sleep(&self, word: &AtomicU32, expected: u32, limit: Duration) {
        futex::wait(word, expected, limit);
    }

    fn wake(&self, word: &AtomicU32) {
        futex::wake(word);
    }

    fn pause(&self) {
        std::hint::spin_loop();
    }
}

/// Opening and creating are one operation here.
fn refused(error: CreateError) -> OpenError {
    match error {
        CreateError::Io(error) => OpenError::Io(error),
        CreateError::AccessDenied => OpenError::AccessDenied,
        CreateError::NoSpace { .. } => OpenError::Io(io::Error::from_raw_os_error(libc::ENOSPC)),
        _ => OpenError::Busy,
    }
}
