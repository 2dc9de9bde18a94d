//! What the tests share: running the command, and programs for it.

#![allow(dead_code, reason = "every test file uses a part of it")]

use core::time::Duration;
use std::{
    fs,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

/// A hang, and nothing else: nothing here takes a tenth of this even on a busy machine, and the programs would run for
/// an hour or for ever.
pub const LIMIT: Duration = Duration::from_secs(600);

/// How a command ended.
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The lines of standard output, sorted: interpreters run in any order.
    pub fn sorted(&self) -> Vec<&str> {
        let mut lines: Vec<_> = self.stdout.lines().collect();
        lines.sort_unstable();
        lines
    }

    /// The only line on standard error, without the name of the command.
    #[track_caller]
    pub fn report(&self) -> &str {
        let line = self.stderr.strip_suffix('\n').and_then(|line| line.strip_prefix("archipelago: "));
        let line = line.unwrap_or_else(|| panic!("one line of ours was expected: {:?}", self.stderr));
        assert!(!line.contains('\n'), "one line was expected: {line}");
        line
    }

    /// A number behind a word in the totals of the statistics.
    #[track_caller]
    pub fn number(&self, word: &str) -> u64 {
        let (_, totals) = self.stderr.split_once("\ntotal: ").expect("statistics");
        let (_, rest) = totals.split_once(word).unwrap_or_else(|| panic!("no {word}: {totals}"));
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }
}

/// A command that was started.
pub struct Running {
    pub child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Running {
    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end, which must come.
    #[track_caller]
    pub fn status(&mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("it must not be killed by a signal");
            }
            assert!(begun.elapsed() < LIMIT, "the command did not end");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Reads what it writes and waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut stream) = stream {
                    stream.read_to_end(&mut bytes).unwrap();
                }
                String::from_utf8(bytes).unwrap()
            })
        }
        let (stdout, stderr) = (collect(self.child.stdout.take()), collect(self.child.stderr.take()));
        let status = self.status();
        Ran { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }

    /// Reads the next `length` bytes of standard output.
    pub fn read(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.child.stdout.as_mut().unwrap().read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// The command with these words, its streams piped.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_archipelago"));
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn start(command: &mut Command) -> Running {
    Running { child: command.spawn().unwrap() }
}

/// Runs the command with these words to its end.
#[track_caller]
pub fn run(words: &[&str]) -> Ran {
    start(&mut command(words)).finish()
}

/// A sample, as seen from where the command runs.
pub fn sample(name: &str) -> String {
    format!("samples/{name}.wat")
}

/// A file for a test, with a name that no other test uses.
pub fn file(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// A program that runs `body` with some of WASI at hand.
pub fn program(name: &str, body: &str) -> String {
    file(
        name,
        format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func $print (param $fd i32) (param $at i32) (param $length i32)
                    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $length))
                    (if (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
                        (then (call $exit (i32.const 99)))))
                (func $again (call $again))
                (func (export "_start") {body})
                (data (i32.const 1024) "text without an end"))"#
        ),
    )
}

/// A program that ends with an exit code.
pub fn exits(code: i32) -> String {
    program(&format!("exit{code}.wat"), &format!("(call $exit (i32.const {code}))"))
}
