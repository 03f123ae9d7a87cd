//! The other process of a test: this very test program, started again to play a role.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use interproc::shm::{Create, CreateError, Kind, Open, OpenError, Place, Segment, cleanup};
use rustix::process::{Pid, Signal, kill_process};

const ROLE: &str = "INTERPROC_SHM_ROLE";

/// A started child. Dropping kills it.
pub(crate) struct Child {
    process: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Child {
    pub(crate) fn start(role: &str, args: &[&str]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "shm_child_role", "--nocapture", "--quiet"])
            .env(ROLE, [&[role], args].concat().join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a line and waits for the answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
        loop {
            let mut answer = String::new();
            assert_ne!(self.output.read_line(&mut answer).unwrap(), 0, "the child is gone");
            // The test harness of the child prints lines of its own.
            if let Some(answer) = answer.trim_end().strip_prefix("answer:") {
                return answer.to_owned();
            }
        }
    }

    /// Ends it in order.
    pub(crate) fn finish(mut self) {
        drop(self.process.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success());
    }

    /// `kill -9`, waited for.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let status = format!("/proc/{}/stat", self.pid());
        while cfg!(target_os = "linux") && !std::fs::read_to_string(&status).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// How it ended if it ended by itself, which racing children never do.
    pub(crate) fn failure(&mut self) -> Option<String> {
        self.process.try_wait().unwrap().map(|status| status.to_string())
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A name that no other test has.
pub(crate) fn random_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("test {} {time:x} {count}", std::process::id())
}

/// In a child: plays the role it was started for. In a test run: nothing.
pub(crate) fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut parts = role.split('\n');
    let (role, place) = (parts.next().unwrap(), Place::parse(parts.next().unwrap()).unwrap());
    let create = Create { kind: Kind::BUFFER, size: 100, persistent: false, params: [0; 8], init: &|_| {} };
    let open = Open {
        kind: Kind::BUFFER,
        recover: &|region, dead| {
            region.copy_in(9, &[200 + u8::try_from(dead.participant.slot).unwrap()]).unwrap();
        },
    };
    match role {
        "serve" => serve(&Segment::open(&place, &open).unwrap()),
        "create" => serve(&Segment::create(&place, &create).unwrap()),
        "open" => {
            std::io::stdin().read_line(&mut String::new()).unwrap();
            let opened = Segment::open(&place, &open);
            answer(opened.as_ref().map_or_else(|error| error.code(), |_| "opened"));
        }
        "sweep" => loop {
            cleanup().unwrap();
        },
        "race" => race(&place, parts.next().unwrap().parse().unwrap()),
        other => panic!("no role {other}"),
    }
}

fn answer(text: &str) {
    let mut output = std::io::stdout();
    writeln!(output, "\nanswer:{text}").unwrap();
}

/// Reads and writes single bytes as told, until the input ends.
fn serve(segment: &Segment) {
    let region = segment.region();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<usize>().unwrap();
        let mut byte = [0];
        let answer = match words[0] {
            "read" => {
                region.copy_out(number(1), &mut byte).unwrap();
                byte[0].to_string()
            }
            "write" => {
                region.copy_in(number(1), &[u8::try_from(number(2)).unwrap()]).unwrap();
                "ok".into()
            }
            other => panic!("no command {other}"),
        };
        self::answer(&answer);
    }
}

/// Creates, opens and leaves one name, again and again. Some openings are of the wrong kind.
fn race(place: &Place, times: u32) {
    let create = Create {
        kind: Kind::BUFFER,
        size: 9000,
        persistent: false,
        params: [0; 8],
        init: &|region| region.copy_in(8990, b"filled").unwrap(),
    };
    let open = Open { kind: Kind::BUFFER, recover: &|_, _| {} };
    let wrong = Open { kind: Kind::QUEUE, ..open };
    for _ in 0..times {
        let found = match Segment::create(place, &create) {
            Ok(segment) => Some(segment),
            Err(CreateError::AlreadyExists | CreateError::Busy) => match Segment::open(place, &open) {
                Ok(segment) => Some(segment),
                Err(OpenError::NotFound | OpenError::Busy) => None,
                Err(error) => panic!("open: {error}"),
            },
            Err(error) => panic!("create: {error}"),
        };
        match Segment::open(place, &wrong) {
            Err(OpenError::KindMismatch { .. } | OpenError::NotFound | OpenError::Busy) => {}
            other => panic!("wrong kind: {other:?}"),
        }
        if let Some(segment) = found {
            let mut bytes = [0; 6];
            segment.region().copy_out(8990, &mut bytes).unwrap();
            assert_eq!(&bytes, b"filled");
        }
    }
}
