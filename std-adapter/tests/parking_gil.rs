//! The suite of locks (SPEC G2) on the GIL of this host: every tier.

use archipelago::ParkingGil;
use archipelago_lock_suite::{AsGil, tier};

tier!(as_gil: AsGil<ParkingGil>; basic);
tier!(as_gil_elsewhere: AsGil<ParkingGil>; other_thread);
tier!(timed: ParkingGil; timed);
tier!(fair: ParkingGil; fair);
tier!(places: ParkingGil; places);
