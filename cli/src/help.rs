//! What `--help` and `--version` print.

use core::fmt::Write;

use crate::{plan::MOST_JOBS, status::Status};

const USAGE: &str = "\
archipelago runs WebAssembly programs, each in an interpreter of its own.

usage: archipelago run [OPTIONS] PROGRAM... [-- ARGS...]

A PROGRAM is a .wasm or .wat file made for WASI preview 1. Each program runs in its own interpreter, by default
under its own GIL, so that programs run in parallel. ARGS are given to every program.

options:
  --gil own|shared            a GIL for each interpreter (default), or main's GIL for all of them
  --memory-limit SIZE         the most memory an interpreter may hold: bytes, or with KiB, MiB or GiB
  --timeout DURATION          end an interpreter after this time: 500ms, 10s, 1.5h (us, ms, s, m, h);
                              loading its program does not count
  --fuel N                    end an interpreter after N units of work (about one per instruction)
  --switch-interval DURATION  how long a GIL is kept while another thread waits for it (default 5ms)
  --repeat N                  run N interpreters of each program
  --jobs N                    run at most N interpreters at a time, on so many threads
";

const OPTIONS: &str = "
  --dir HOST[::GUEST]         open a directory to the programs, under the name GUEST (default: HOST); repeatable
  --env NAME=VALUE            set an environment variable of the programs; repeatable
  --stats                     print what each interpreter used, memory by domain too, on standard error
  --heap-trace FILE           write the memory of each interpreter by call site to FILE, for flame graphs;
                              with --stats, print it as a table too
  --trace FILE.json           write when each thread waited for a GIL and held one, for https://ui.perfetto.dev
  --timeline FILE.svg         draw it
  -h, --help                  print this
  -V, --version               print the version

  Of an option that is given again the last one counts, but for the repeatable ones.

streams:
  A single interpreter uses the standard streams as they are. Of several, each line of output begins with the
  number of its interpreter, as in '[2] text', and lines are never mixed; a line longer than 1 MiB is broken. The
  first interpreter gets the standard input, the others get none. With --repeat, interpreters are numbered in
  rounds: every program once, then every program again.

heap trace:
  FILE has a line 'INTERPRETER;DOMAIN;SITE COUNT' for each call site, as tools for flame graphs read them (folded
  stacks), such as '[1] a.wasm;raw;run;memory.grow 1048576'. COUNT is the most bytes that were held for the site at
  a time; sites have their peaks at different times, so a sum of them may be more than the interpreter ever held.
  Linear memories and tables are in the domain raw, at 'load' what a program begins with and at 'run' what it grows
  by. What limits do not count, such as compiled code, is not in it. FILE is made before the programs run.

trace and timeline:
  A row for each thread of the operating system: 'holds' a GIL, under the name of the interpreter, or 'waits' for one; a
  switch is where a GIL went to another thread state than had it before. Of each thread the last 100000 events are
  kept; how many were lost is said in the file. FILE is made before the programs run.

statistics:
  One line for each of the first 100 interpreters; the totals are of all. 'waits' is how often its thread waited for
  the GIL, 'GIL wait ms' how long in all, 'switches' how often it took the GIL after another thread state. 'peak
  bytes' is the most it held at a time; 'raw', 'mem' and 'object' are the peaks of each domain, which need not fall
  together. 'fuel' is what --fuel limits.

examples:
  archipelago run hello.wasm
  archipelago run a.wasm b.wasm --timeout 10s --memory-limit 64MiB --stats
  archipelago run tool.wasm --dir data::/data --env LANG=C -- --verbose /data/input
  archipelago run tiny.wat --repeat 10000 --jobs 2 --stats
  archipelago run a.wasm b.wasm --gil shared --trace gil.json --timeline gil.svg
  archipelago run a.wasm b.wasm --heap-trace heap.folded && flamegraph.pl --countname=bytes heap.folded > heap.svg

exit status:
";

const RULE: &str = "\
  When several interpreters fail, the status is that of the failed one with the lowest number; 13, 130 and 143
  come before any other, and 12 for a trace that is lost comes last. The remaining programs run on after a failure.
";

/// The text of `--help`.
pub fn text() -> String {
    let mut text = String::from(USAGE);
    let indent = " ".repeat(30);
    // Writing to a string cannot fail.
    let _ = write!(text, "{indent}(default: {MOST_JOBS} or one per processor, whichever is more)");
    text.push_str(OPTIONS);
    for (status, meaning) in Status::ALL {
        let _ = writeln!(text, "  {:>3}  {meaning}", status.code());
    }
    text.push_str(RULE);
    text
}

/// The text of `--version`.
pub fn version() -> String {
    format!("archipelago {}\n", env!("CARGO_PKG_VERSION"))
}
