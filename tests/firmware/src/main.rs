//! The test image. It ends with exit status 0, or 101 after a failed assertion, or 102 after a hard fault.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

use core::{alloc::Layout, panic::PanicInfo};

use archipelago_firmware::{
    RUNTIME,
    board::Board,
    clock::SysTickClock,
    handler::TALLY,
    memory,
    phases::{
        cost, exhaustion,
        round::{self, Round},
        turns::SLICES,
    },
    stack,
};
use archipelago_kernel::Runtime;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use semihosting::{println, process};

#[entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { panic!("main is entered once") };
    memory::give();
    SysTickClock::start(peripherals.SYST);
    misbehave();
    assert_eq!(memory::used(), 0, "a runtime takes no memory before it is initialized");
    let first = round::live();
    report(&first);
    if cfg!(feature = "control-leak") {
        let _lost = RUNTIME.raw().allocate(Layout::new::<u64>());
    }
    let second = round::live();
    report(&second);
    assert_eq!(second.kept, first.kept, "a second life of the runtime takes no more memory than the first");

    let main = RUNTIME.initialize(None);
    assert!(main.is_ok());
    let cost = cost::measure();
    let counts = [exhaustion::fill(), exhaustion::fill()];
    assert_eq!(counts[0], counts[1], "all of it was given back");
    round::finalize();

    assert!(TALLY.refused.get() > 0 && TALLY.while_attached.get() > 0);
    println!("handler: {} ticks, {} while attached", TALLY.ticks.get(), TALLY.while_attached.get());
    println!("handler: {} operations answered InInterrupt", TALLY.refused.get());
    println!(
        "memory: {} bytes an interpreter, {} a further thread state",
        Runtime::<Board>::INTERPRETER_BYTES,
        Runtime::<Board>::THREAD_BYTES
    );
    println!("memory: {} of {} bytes kept for slots after each round", first.kept, memory::bytes());
    println!("memory: room for {} interpreters at a time", counts[0]);
    println!(
        "instructions: attach and detach {}, safepoint {}, object {}, enter and leave {}",
        cost.attach, cost.safepoint, cost.object, cost.enter
    );
    println!("stack: {} bytes at most", stack::used());
    println!("PASS");
    process::exit(0)
}

/// Asserts the exact switch counts, and prints them.
fn report(round: &Round) {
    let slices = SLICES as usize;
    // Own: nobody else ever takes the GIL. Shared: every attach is a switch. Entered: main attaches once, and each
    // interpreter is entered and left.
    let expected = [(0, [0, 0]), (2 * slices, [slices, slices]), (4 * slices + 1, [slices, slices])];
    for ((name, figures), (gil, each)) in
        ["own", "shared", "entered"].into_iter().zip(&round.turns).zip(expected)
    {
        assert_eq!(figures.gil, gil, "switches of main's GIL");
        assert_eq!(figures.each, each, "switches of each interpreter");
        assert!(figures.calls.iter().all(|calls| *calls > 0), "the handler added calls");
        println!(
            "{name}: {SLICES} + {SLICES} slices, main's GIL switched {gil}, interpreters {} + {}",
            each[0], each[1]
        );
        println!(
            "{name}: pending calls {} + {}, peak {} + {} bytes",
            figures.calls[0], figures.calls[1], figures.peak[0], figures.peak[1]
        );
    }
    println!("deadline: {} slices", round.slices_to_deadline);
}

/// The images that must fail.
fn misbehave() {
    #[cfg(feature = "control-hard-fault")]
    cortex_m::asm::udf();
    #[cfg(feature = "control-stack-overflow")]
    {
        #[inline(never)]
        fn down(n: usize) -> usize {
            let deep = core::hint::black_box([n; 64]);
            if deep[0] == usize::MAX { 0 } else { down(n + 1) + deep[63] }
        }
        down(0);
    }
    #[cfg(feature = "control-hang")]
    loop {
        cortex_m::asm::nop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("PANIC {info}");
    process::exit(101)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    println!("HARD FAULT at {:#x}", frame.pc());
    process::exit(102)
}
