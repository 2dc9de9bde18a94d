//! The suite of locks (SPEC G2) on the GIL of this host: every tier.

#[path = "../../lock-backends/tests/suite/mod.rs"]
mod suite;

use archipelago::ParkingGil;
use suite::{AsGil, tier};

tier!(as_gil: AsGil<ParkingGil>; basic);
tier!(as_gil_elsewhere: AsGil<ParkingGil>; other_thread);
tier!(timed: ParkingGil; timed);
tier!(fair: ParkingGil; fair);
