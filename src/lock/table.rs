//! The table of all requests of a user, as one process sees it.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::mutex::World;
use super::record::{Key, Mode, Record, SHARDS, State, Words, owner_of, owner_word};
use super::shard::{Ask, Entered, Locked};
use crate::shm::{Create, CreateError, Kind, Name, Open, OpenError, Place, Segment, futex};

/// The segment of the user's locks.
const NAME: &str = "interproc locks";

/// All requests of a user. One per process; `Send` and `Sync`.
#[derive(Debug)]
pub struct Table {
    segment: Arc<Segment>,
    me: u64,
}

/// Names a request of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    pub(super) shard: u32,
    pub(super) index: u32,
    ticket: u64,
}

/// What became of a request when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The caller has it.
    Held {
        /// Its name, for releasing.
        id: Id,
        /// Someone died who had it before.
        after_death: bool,
    },
    /// Others have it, or asked before.
    Waiting {
        /// Its name, for waiting and cancelling.
        id: Id,
        /// Process ids of those before.
        ahead: Vec<u32>,
    },
    /// Others have it, and the caller did not want to wait.
    Unavailable,
    /// The word was not what the caller thought: only of [`Table::wait`].
    NotEqual,
    /// No room for another request.
    Full,
    /// Others think that the semaphore has so many permits.
    LimitDiffers(u32),
    /// The table was locked by a process that did not go on until the time given: stopped in the middle.
    Busy,
}

/// What a request is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It waits.
    Waiting,
    /// The caller has it.
    Held {
        /// Someone died who had it before.
        after_death: bool,
    },
    /// Another took it away.
    Stolen,
    /// The wait was notified.
    Notified,
    /// No such request: released, or damaged by whoever scribbles on shared memory.
    Gone,
}

/// A request as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, in UTF-8 as a rule.
    pub key: Vec<u8>,
    /// What is asked for.
    pub mode: Mode,
    /// Held, or waited for.
    pub held: bool,
    /// Process id, in its own PID namespace.
    pub pid: u32,
    /// Which thread of it; 0: a blocked one.
    pub agent: u64,
    /// Permits.
    pub count: u32,
    ticket: u64,
}

impl Table {
    /// The table of this user, made where there is none.
    ///
    /// # Errors
    /// As [`Segment::open_or_create`].
    pub fn shared() -> Result<Arc<Self>, OpenError> {
        static TABLE: Mutex<Weak<Table>> = Mutex::new(Weak::new());
        let mut known = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = known.upgrade() {
            return Ok(table);
        }
        let table = Arc::new(Self::open(Name::new(NAME)?)?);
        *known = Arc::downgrade(&table);
        Ok(table)
    }

    /// A table of another name.
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
        Ok(Self { segment, me })
    }

    /// Asks for a lock or permits, or waits in vain until `until` for the table itself.
    ///
    /// The key has at most [`MAX_KEY_LEN`](super::MAX_KEY_LEN) bytes; a longer one is [`Outcome::Full`].
    pub fn request(&self, key: &[u8], ask: &Ask, until: Option<Instant>) -> Outcome {
        let Some(key) = Key::new(key) else { return Outcome::Full };
        self.with(key.shard(), until, |locked| {
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
    pub fn wait(&self, key: &[u8], agent: u64, until: Option<Instant>, unchanged: &dyn Fn() -> bool) -> Outcome {
        let Some(key) = Key::new(key) else { return Outcome::Full };
        let ask = Ask { mode: Mode::Wait, count: 1, limit: 0, agent, if_available: false, steal: false };
        self.with(key.shard(), until, |locked| {
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

    /// Wakes up to `limit` waiters of `key`, and gives their number. Blocks while another process changes the same shard.
    pub fn notify(&self, key: &[u8], limit: u32) -> u32 {
        let Some(key) = Key::new(key) else { return 0 };
        // SYNC: pairs with the fence in `wait`: the caller's change of the word comes before the look for waiters.
        fence(Ordering::SeqCst);
        if self.words(key.shard()).waiters.load(Ordering::SeqCst) == 0 || limit == 0 {
            return 0;
        }
        self.with(key.shard(), None, |locked| locked.notify(&key, limit)).unwrap_or(0)
    }

    /// Gives back what is held, or takes a request back; what it was. `None`: the table is busy until `until`.
    pub fn end(&self, id: Id, until: Option<Instant>) -> Option<Answer> {
        self.with(id.shard as usize, until, |locked| {
            let answer = self.look(id);
            let record = self.record(id);
            if answer != Answer::Gone {
                let (key, mode) = (Key::new(&record.key()), record.mode());
                locked.remove(id.index);
                if let (Some(key), Some(mode)) = (key, mode) {
                    locked.settle(&key, mode);
                }
            }
            answer
        })
    }

    /// Takes a request back if it still waits. `None`: the table is busy until `until`.
    pub fn cancel(&self, id: Id, until: Option<Instant>) -> Option<Answer> {
        self.with(id.shard as usize, until, |locked| {
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
    pub fn check(&self, id: Id, until: Option<Instant>) {
        self.with(id.shard as usize, until, |locked| {
            let record = self.record(id);
            if self.look(id) == Answer::Waiting
                && let (Some(key), Some(mode)) = (Key::new(&record.key()), record.mode())
                && locked.reap(&key, mode)
            {
                locked.settle(&key, mode);
            }
        });
    }

    /// Ends a request of a thread that ends: what it held counts as left by a death.
    pub fn abandon(&self, id: Id) {
        self.with(id.shard as usize, None, |locked| {
            let record = self.record(id);
            if self.look(id) != Answer::Gone {
                let (key, mode) = (Key::new(&record.key()), record.mode());
                locked.bury(id.index);
                if let (Some(key), Some(mode)) = (key, mode) {
                    locked.settle(&key, mode);
                }
            }
        });
    }

    /// All requests, oldest first. Of the living only.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for shard in 0..SHARDS {
            self.with(shard, None, |locked| {
                locked.reap_all();
                for (_, record) in locked.records() {
                    let held = record.state().is_held();
                    if (held || record.state() == State::Waiting)
                        && let Some(mode) = record.mode()
                    {
                        entries.push(entry(record, mode, held));
                    }
                }
            });
        }
        entries.sort_by(|a, b| (&a.key, a.ticket).cmp(&(&b.key, b.ticket)));
        entries
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

    fn with<T>(&self, shard: usize, until: Option<Instant>, task: impl FnOnce(&Locked<'_, Self>) -> T) -> Option<T> {
        let locked = Locked::new(self.words(shard), self.me, self, &Bell::ring, until)?;
        Some(task(&locked))
    }

    fn id(&self, shard: usize, index: u32) -> Id {
        let ticket = self.words(shard).records[index as usize].ticket.load(Ordering::Relaxed);
        Id { shard: u32::try_from(shard).unwrap_or(0), index, ticket }
    }

    fn record(&self, id: Id) -> &Record {
        &self.words(id.shard as usize).records[id.index as usize]
    }

    pub(super) fn words(&self, shard: usize) -> &Words {
        assert!(shard < SHARDS, "ids are made here");
        let start = self.segment.region().as_ptr().cast::<Words>();
        // SAFETY: below SHARDS, and `open` checked that so many lie in the region.
        let words = unsafe { start.add(shard) };
        // SAFETY: aligned as the page is, mapped while `self.segment` lives, any bits are integers, and only atomics touch them.
        unsafe { &*words }
    }
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

fn entry(record: &Record, mode: Mode, held: bool) -> Entry {
    Entry {
        key: record.key(),
        mode,
        held,
        pid: record.pid.load(Ordering::Relaxed),
        agent: record.agent.load(Ordering::Relaxed),
        count: record.count.load(Ordering::Relaxed),
        ticket: record.ticket.load(Ordering::Relaxed),
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
