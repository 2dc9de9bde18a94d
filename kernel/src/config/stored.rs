//! A config as an interpreter keeps it: the same in two thirds of the room, for there may be very many of them.

use core::time::Duration;

use super::{GilChoice, InterpreterConfig};

/// What is not set is zero here, and its bit in `set` not either.
#[derive(Clone, Copy)]
pub(crate) struct StoredConfig {
    memory_limit: usize,
    memory_soft_limit: usize,
    memory_reserve: usize,
    fuel: u64,
    seconds: [u64; 2],
    nanoseconds: [u32; 2],
    pending_calls: u32,
    gil: GilChoice,
    flags: u8,
    set: u8,
}

impl StoredConfig {
    pub(crate) const fn new(config: &InterpreterConfig) -> Self {
        // All of them, so that none is forgotten.
        let InterpreterConfig {
            use_main_obmalloc,
            allow_fork,
            allow_exec,
            allow_threads,
            allow_daemon_threads,
            check_multi_interp_extensions,
            gil,
            memory_limit,
            memory_soft_limit,
            memory_reserve,
            switch_interval,
            deadline,
            fuel,
            always_new_thread,
            bound_to_thread,
            pending_calls,
        } = *config;
        let mut stored = StoredConfig {
            memory_limit: 0,
            memory_soft_limit: 0,
            memory_reserve,
            fuel: 0,
            seconds: [0; 2],
            nanoseconds: [0; 2],
            pending_calls,
            gil,
            flags: use_main_obmalloc as u8
                | (allow_fork as u8) << 1
                | (allow_exec as u8) << 2
                | (allow_threads as u8) << 3
                | (allow_daemon_threads as u8) << 4
                | (check_multi_interp_extensions as u8) << 5
                | (always_new_thread as u8) << 6
                | (bound_to_thread as u8) << 7,
            set: memory_limit.is_some() as u8
                | (memory_soft_limit.is_some() as u8) << 1
                | (fuel.is_some() as u8) << 2
                | (switch_interval.is_some() as u8) << 3
                | (deadline.is_some() as u8) << 4,
        };
        if let Some(limit) = memory_limit {
            stored.memory_limit = limit;
        }
        if let Some(limit) = memory_soft_limit {
            stored.memory_soft_limit = limit;
        }
        if let Some(fuel) = fuel {
            stored.fuel = fuel;
        }
        if let Some(interval) = switch_interval {
            (stored.seconds[0], stored.nanoseconds[0]) = (interval.as_secs(), interval.subsec_nanos());
        }
        if let Some(deadline) = deadline {
            (stored.seconds[1], stored.nanoseconds[1]) = (deadline.as_secs(), deadline.subsec_nanos());
        }
        stored
    }

    pub(crate) fn pending_calls(&self) -> u32 {
        self.pending_calls
    }

    pub(crate) fn config(&self) -> InterpreterConfig {
        let flag = |bit: u8| self.flags >> bit & 1 == 1;
        let is_set = |bit: u8| self.set >> bit & 1 == 1;
        let duration = |n: usize| Duration::new(self.seconds[n], self.nanoseconds[n]);
        InterpreterConfig {
            use_main_obmalloc: flag(0),
            allow_fork: flag(1),
            allow_exec: flag(2),
            allow_threads: flag(3),
            allow_daemon_threads: flag(4),
            check_multi_interp_extensions: flag(5),
            gil: self.gil,
            memory_limit: is_set(0).then_some(self.memory_limit),
            memory_soft_limit: is_set(1).then_some(self.memory_soft_limit),
            memory_reserve: self.memory_reserve,
            switch_interval: is_set(3).then(|| duration(0)),
            deadline: is_set(4).then(|| duration(1)),
            fuel: is_set(2).then_some(self.fuel),
            always_new_thread: flag(6),
            bound_to_thread: flag(7),
            pending_calls: self.pending_calls,
        }
    }
}
