//! What observers are told in a model.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use archipelago_kernel::{
    Host, Runtime,
    observe::{Event, Observer, ObserverNode, Veto},
};

/// Counts the events of sub-interpreters, and says no as often as it was told to. Not loom's, so that it orders
/// nothing; it lives for ever, so each execution leaks its own.
#[derive(Default)]
pub struct Heard {
    clearing: AtomicUsize,
    left_over: AtomicUsize,
    ended: AtomicUsize,
    vetoes: AtomicUsize,
}

impl Heard {
    /// An observer of `rt` that vetoes the first so many ends.
    pub fn of<H: Host>(rt: &Runtime<H>, vetoes: usize) -> &'static Heard {
        let heard: &'static Heard = Box::leak(Box::default());
        heard.vetoes.store(vetoes, Relaxed);
        assert!(rt.observe(Box::leak(Box::new(ObserverNode::new(heard)))));
        heard
    }

    /// Ends that were announced, and not vetoed; those of interpreters that were left over; ends that were told.
    pub fn ends(&self) -> (usize, usize, usize) {
        (self.clearing.load(Relaxed), self.left_over.load(Relaxed), self.ended.load(Relaxed))
    }
}

impl Observer for Heard {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        let count = match event {
            Event::InterpreterClearing { id } if !id.is_main() => {
                if self.vetoes.load(Relaxed) > 0 {
                    self.vetoes.fetch_sub(1, Relaxed);
                    return Err(Veto);
                }
                &self.clearing
            }
            Event::InterpreterLeftOver { .. } => &self.left_over,
            Event::InterpreterEnded { id, .. } if !id.is_main() => &self.ended,
            _ => return Ok(()),
        };
        count.fetch_add(1, Relaxed);
        Ok(())
    }
}
