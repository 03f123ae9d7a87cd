use std::cell::RefCell;
use std::ffi::CString;
use std::io::Read;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::reactor::{Blocking, Reactor};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Started,
    Failed(i32),
    Exited(Exit),
}

#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<Told>>>);

impl Events for Log {
    fn started(&self, pid: i32) {
        assert!(pid > 0);
        self.0.borrow_mut().push(Told::Started);
    }
    fn failed(&self, errno: i32) {
        self.0.borrow_mut().push(Told::Failed(errno));
    }
    fn exited(&self, exit: Exit) {
        self.0.borrow_mut().push(Told::Exited(exit));
    }
}

fn command(args: &[&str]) -> Command {
    let args: Vec<_> = args.iter().map(|arg| CString::new(*arg).unwrap()).collect();
    Command {
        file: args[0].clone(),
        args,
        env: vec![c"PATH=/usr/local/bin:/usr/bin:/bin".into()],
        stdio: vec![Stdio::Ignore, Stdio::Ignore, Stdio::Ignore],
        ..Command::default()
    }
}

fn shell(script: &str) -> Command {
    command(&["/bin/sh", "-c", script])
}

const NO_LIMITS: Limits = Limits { timeout: None, output: None, signal: libc::SIGTERM };

/// What a script writes to its standard output.
fn output(command: Command) -> String {
    let finished = run(command, vec![(1, Wire::Output)], NO_LIMITS);
    assert_eq!(finished.errno, None);
    String::from_utf8(finished.output.concat()).unwrap()
}

/// Starts it, waits for its end, and tells what was told.
fn history(command: Command, meanwhile: impl FnOnce(&Rc<Process>)) -> Vec<Told> {
    let reactor = Reactor::new().unwrap();
    let driver = Blocking::new(&reactor);
    let log = Log::default();
    let process = Process::start(&reactor, command, Box::new(log.clone())).unwrap();
    meanwhile(&process);
    assert!(!driver.run_until(|| false), "it ends by itself, when the process has ended");
    log.0.take()
}

#[test]
fn tells_start_and_end_in_order() {
    assert_eq!(history(shell("exit 7"), |_| ()), [Told::Started, Told::Exited(Exit::Code(7))]);
    let killed = history(shell("kill -9 $$"), |_| ());
    assert_eq!(killed, [Told::Started, Told::Exited(Exit::Signal(libc::SIGKILL))]);
}

#[test]
fn tells_why_it_could_not_start() {
    assert_eq!(history(command(&["no-such-program"]), |_| ()), [Told::Failed(libc::ENOENT)]);
    assert_eq!(history(command(&["/etc/passwd"]), |_| ()), [Told::Failed(libc::EACCES)]);
    assert_eq!(history(command(&["/"]), |_| ()), [Told::Failed(libc::EACCES)]);
    let nowhere = Command { cwd: Some(c"/no/such/directory".into()), ..shell("true") };
    assert_eq!(history(nowhere, |_| ()), [Told::Failed(libc::ENOENT)]);
}

#[test]
fn fails_at_once_where_node_throws() {
    let reactor = Reactor::new().unwrap();
    let driver = Blocking::new(&reactor);
    for (command, errno) in [
        (command(&["true", &"x".repeat(200_000)]), libc::E2BIG),
        (command(&["/etc/passwd/x"]), libc::ENOTDIR),
        (Command { cwd: Some(c"/etc/passwd".into()), ..shell("true") }, libc::ENOTDIR),
    ] {
        let log = Log::default();
        let error = Process::start(&reactor, command, Box::new(log.clone())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(errno));
        assert!(!driver.run_until(|| false), "nothing is left that would hold the loop");
        assert!(log.0.borrow().is_empty());
    }
}

#[test]
fn pid_waits_for_the_answer() {
    history(shell("true"), |process| assert!(process.pid().unwrap() > 0));
    history(command(&["no-such-program"]), |process| assert_eq!(process.pid(), Err(libc::ENOENT)));
}

#[test]
fn signals_reach_this_process_only_while_it_lives() {
    let told = history(shell("sleep 100"), |process| {
        process.kill(0).unwrap();
        process.kill(libc::SIGTERM).unwrap();
        assert_eq!(process.kill(9999).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    });
    assert_eq!(told, [Told::Started, Told::Exited(Exit::Signal(libc::SIGTERM))]);

    let reactor = Reactor::new().unwrap();
    let driver = Blocking::new(&reactor);
    let process = Process::start(&reactor, shell("true"), Box::new(Log::default())).unwrap();
    driver.run_until(|| false);
    assert_eq!(process.kill(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn looks_in_the_path_of_the_child() {
    let folder = std::env::temp_dir().join(format!("interproc-path-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("greet");
    std::fs::write(&program, "echo from $0 with $1").unwrap(); // No interpreter line: a shell runs it.
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("PATH=/no/such:{}", folder.display());
    let said = output(Command { env: vec![CString::new(path).unwrap()], ..command(&["greet", "thanks"]) });
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(said, format!("from {} with thanks\n", program.display()));
}

#[test]
fn starts_in_the_directory_given() {
    assert_eq!(output(Command { cwd: Some(c"/usr/bin".into()), ..command(&["pwd"]) }), "/usr/bin\n");
    assert_eq!(output(command(&["pwd"])), format!("{}\n", std::env::current_dir().unwrap().display()));
}

#[test]
#[cfg(target_os = "linux")]
fn the_child_has_fresh_signals_and_no_descriptor_of_ours() {
    let (_leak, _other) = rustix::pipe::pipe().unwrap(); // Not CLOEXEC, on purpose.
    let status = output(command(&["cat", "/proc/self/status"]));
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!((mask("SigBlk:"), mask("SigIgn:") & 0x7fff_ffff), (0, 0), "{status}");
    // The directory that ls itself reads is the fourth.
    assert_eq!(output(command(&["ls", "/proc/self/fd"])), "0\n1\n2\n3\n");
}

#[test]
fn descriptors_may_cross() {
    let (mut first, first_end) = pipe_pair();
    let (mut second, second_end) = pipe_pair();
    let mut command = shell("echo three >&3; echo four >&4");
    command.stdio.push(second_end);
    command.stdio.push(first_end);
    assert_eq!(run(command, Vec::new(), NO_LIMITS).exit, Some(Exit::Code(0)));
    assert_eq!((read_all(&mut first), read_all(&mut second)), ("four\n".into(), "three\n".into()));
}

fn pipe_pair() -> (std::fs::File, Stdio) {
    let (ours, theirs) = pipe(false).unwrap();
    (ours.into(), theirs)
}

/// Up to the end, which comes late while a child of another test, between fork and exec, still has the other end.
fn read_all(file: &mut std::fs::File) -> String {
    let mut bytes = Vec::new();
    while let Err(error) = file.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        std::thread::sleep(Duration::from_millis(1));
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn runs_to_the_end_and_collects() {
    let input = "x".repeat(3 << 20);
    let wires = vec![(0, Wire::Input(input.as_bytes())), (1, Wire::Output), (2, Wire::Output)];
    let finished = run(shell("cat; echo bad >&2; exit 3"), wires, NO_LIMITS);
    assert_eq!((finished.exit, finished.errno), (Some(Exit::Code(3)), None));
    assert_eq!(finished.output[0].len(), input.len());
    assert_eq!(finished.output[1], b"bad\n");
}

#[test]
fn runs_no_longer_and_collects_no_more_than_allowed() {
    let limits = Limits { timeout: Some(Duration::from_millis(50)), ..NO_LIMITS };
    let late = run(shell("sleep 100"), vec![(1, Wire::Output)], limits);
    assert_eq!((late.exit, late.errno), (Some(Exit::Signal(libc::SIGTERM)), Some(libc::ETIMEDOUT)));

    let limits = Limits { output: Some(10_000), signal: libc::SIGKILL, ..NO_LIMITS };
    let loud = run(command(&["yes"]), vec![(1, Wire::Output)], limits);
    assert_eq!((loud.exit, loud.errno), (Some(Exit::Signal(libc::SIGKILL)), Some(libc::ENOBUFS)));
    assert!(loud.output[0].len() > 10_000);
}

#[test]
fn tells_which_starts_could_fail_at_once() {
    assert!(!shell("true").may_fail_at_once());
    assert!(!command(&["no-such-program"]).may_fail_at_once());
    assert!(!command(&["/no/such/program"]).may_fail_at_once());
    assert!(command(&["/etc/passwd/x"]).may_fail_at_once(), "ENOTDIR");
    assert!(command(&[&"x".repeat(300)]).may_fail_at_once(), "ENAMETOOLONG");
    assert!(command(&["true", &"x".repeat(200_000)]).may_fail_at_once(), "E2BIG");
    assert!(Command { uid: Some(1), ..shell("true") }.may_fail_at_once(), "EPERM");
    assert!(Command { cwd: Some(c"/etc/passwd".into()), ..shell("true") }.may_fail_at_once(), "ENOTDIR");
}

#[test]
#[cfg(target_os = "linux")]
fn leaves_no_zombie_when_the_thread_ends_first() {
    let reactor = Reactor::new().unwrap();
    let driver = Blocking::new(&reactor);
    let log = Log::default();
    let (stdin, theirs) = pipe(true).unwrap();
    let mut command = command(&["cat"]);
    command.stdio[0] = theirs;
    let process = Process::start(&reactor, command, Box::new(log.clone())).unwrap();
    let asked_for = process.pid().unwrap();
    let unanswered = Process::start(&reactor, shell("exit 0"), Box::new(log.clone())).unwrap();
    driver.run_until(|| !log.0.borrow().is_empty());
    reactor.close();
    drop((process, unanswered));
    drop(stdin); // Now it ends.
    while std::fs::exists(format!("/proc/{asked_for}")).unwrap() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let zombies = output(shell(&format!("ps --ppid {} -o state= | grep -c Z || true", std::process::id())));
    assert_eq!(zombies, "0\n");
}

#[test]
fn copies_a_descriptor_at_once() {
    let (mut ours, theirs) = pipe_pair();
    let Stdio::Fd(theirs) = theirs else { unreachable!("a pipe has two ends") };
    let mut command = command(&["echo", "copied"]);
    command.stdio[1] = Stdio::copy(theirs.as_fd()).unwrap();
    drop(theirs);
    history(command, |_| ());
    assert_eq!(read_all(&mut ours), "copied\n");
}
