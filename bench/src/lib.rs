//! Benchmarks and the scoreboard.
//!
//! Every figure of the project is one entry of a table in `figures/`: a name, what it measures, its goal, its
//! peer, and a function that answers samples. The scoreboard (`cargo run --release -p archipelago-bench --
//! --quick`) measures them and says which goals are met; criterion (`benches/`) and callgrind
//! (`callgrind.sh`) call the same operations.
//!
//! | file | what it holds |
//! |---|---|
//! | `figure` | what a figure is: goal, peer, unit |
//! | `measure` | alternation, samples, medians |
//! | `report` | one line for each figure, and JSON |
//! | `ops` | the operations of the kernel that are measured, each behind a call |
//! | `contend` | two threads that take turns |
//! | `variant` | the std host with other parts |
//! | `programs` | WebAssembly programs, and running them here and with the peer |
//! | `commands` | commands that are measured as processes: ours and the peer's |
//! | `process` | what the operating system says of a process |
//! | `figures` | the figures |

pub mod commands;
pub mod contend;
pub mod figure;
pub mod figures;
pub mod heap;
pub mod measure;
pub mod ops;
pub mod process;
pub mod programs;
pub mod recorder;
pub mod report;
pub mod variant;

use core::fmt;

/// Why a figure could not be measured, in words. Anything that can be shown becomes one by `?`.
pub struct Trouble(String);

// Not `Display` itself, so that this does not overlap with `From<Trouble> for Trouble`.
impl<T: fmt::Display> From<T> for Trouble {
    fn from(reason: T) -> Self {
        Trouble(reason.to_string())
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
