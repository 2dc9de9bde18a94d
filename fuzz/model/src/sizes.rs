//! How large things are on one host: measured, because the model knows rules, not layouts.

use std::sync::Arc;

use archipelago_kernel::{Host, Runtime};

use crate::{
    guest::ToyState,
    witness::{Tracked, Witness},
};

/// Bytes that are charged for things.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// An interpreter.
    pub footprint: usize,
    /// An object of the driver.
    pub object: usize,
    /// The object of the guest's state.
    pub root: usize,
    /// One entry of the table of names.
    pub name: usize,
    /// A callback that is registered.
    pub exit: usize,
    /// The guest's state.
    pub state: usize,
    /// The guest's data of a thread state.
    pub data: usize,
}

impl Sizes {
    /// Measures them on a runtime that nobody used yet.
    pub fn measure<H: Host>(rt: &Runtime<H>) -> Self {
        let main = rt.initialize(None).expect("a runtime").main();
        let mut thread = rt.thread_state(main).expect("a thread state");
        let witness = Arc::new(Witness::default());
        let sizes = thread.attach(|cx| {
            let footprint = cx.usage().raw.bytes;
            let tracked = cx.alloc_plain(Tracked::new(&witness, 0)).ok().expect("memory");
            let object = cx.usage().object.bytes;
            let root = cx.alloc_plain(0_u64).expect("memory");
            let sizes = Sizes {
                footprint,
                object,
                root: cx.usage().object.bytes - object,
                name: 0,
                exit: 0,
                state: size_of::<ToyState<'static>>(),
                data: size_of::<u64>(),
            };
            root.release(cx);
            let _name = cx.global(tracked).ok().expect("memory");
            let names = cx.usage().mem.bytes;
            let exit = cx.at_exit(|_, _| Ok(()), 0).expect("memory");
            let exit_bytes = cx.usage().mem.bytes - names;
            assert!(cx.forget_exit(exit));
            // The first table has eight entries.
            Sizes { name: names / 8, exit: exit_bytes, ..sizes }
        });
        drop(thread);
        rt.finalize(None).expect("nobody is inside");
        sizes.expect("nothing is attached")
    }
}
