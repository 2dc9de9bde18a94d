//! A small but whole application, without text: two interpreters in turn.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use archipelago_firmware::{
    RUNTIME,
    clock::SysTickClock,
    memory,
    phases::{
        round,
        turns::{Sharing, run_in_turn},
    },
};
use semihosting::process;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { process::exit(1) };
    memory::give();
    SysTickClock::start(peripherals.SYST);
    if RUNTIME.initialize(None).is_err() {
        process::exit(2)
    }
    run_in_turn(Sharing::Own);
    round::finalize();
    process::exit(0)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    process::exit(101)
}
