//! Lists of requests to heaps and raw domains, against the model of the suite (SPEC V3): overlap, alignment, contents,
//! what `inspect` and the books of those that keep any say after each request, and that all memory goes back.
#![allow(unsafe_code)]

mod backend;
mod request;
mod tested;

pub use backend::{Backend, serve};
pub use request::Request;

use core::alloc::Layout;

use archipelago_alloc_suite::{Checked, Model};
use archipelago_alloc_system::SystemRaw;

use tested::Tested;

/// Blocks that are live at a time, so that the look at all of them stays short.
const MOST: usize = 200;

/// What is known of a subject from elsewhere.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    /// The raw domain below, where one can be made to fail.
    below: Option<&'a Checked<SystemRaw>>,
    /// Tells somebody else than the raw domain which request is to fail.
    fail: Option<&'a dyn Fn(Option<usize>)>,
    /// Live blocks and their bytes, where somebody else counts them.
    books: Option<&'a dyn Fn() -> (usize, usize)>,
}

/// A subject under requests.
struct Run<'a, S: Tested> {
    model: Option<Model<S>>,
    around: Around<'a>,
}

/// Serves the requests on one subject; nothing is live afterwards.
fn run<S: Tested>(subject: S, around: Around<'_>, requests: &[Request]) {
    let mut run = Run { model: Some(Model::new(subject)), around };
    for request in requests {
        run.serve(request);
        run.compare();
    }
    run.heal();
    let model = run.model();
    model.check();
    model.clear();
    model.check();
    model.subject_mut().trim();
    run.nothing_below();
}

impl<S: Tested> Run<'_, S> {
    fn model(&mut self) -> &mut Model<S> {
        self.model.as_mut().expect("there is one between requests")
    }

    fn serve(&mut self, request: &Request) {
        match *request {
            Request::Allocate { size, align } => self.allocate(size, 1 << (align % 13)),
            Request::Deallocate { nth } => {
                if let Some(address) = self.model().nth(nth.into()) {
                    self.model().deallocate(address);
                }
            }
            Request::Resize { nth, size } => {
                if let Some(address) = self.model().nth(nth.into()) {
                    // Whether it can be done in place is the subject's; the model checks both cases.
                    let _ = self.model().resize(address, bytes::<S>(size));
                }
            }
            Request::Reallocate { nth, size } => {
                if let Some(address) = self.model().nth(nth.into())
                    && self.model().resize(address, bytes::<S>(size)).is_err()
                {
                    self.allocate(size, 8);
                    self.model().deallocate(address);
                }
            }
            Request::Relocate => self.model().relocate(),
            Request::Trim => {
                self.model().subject_mut().trim();
                self.model().check();
            }
            Request::Sweep => self.sweep(),
            Request::Check => self.model().check(),
            Request::Fail { after } => {
                self.fail_after(after.map(usize::from));
            }
            Request::Budget { kibibytes } => {
                if let Some(below) = self.around.below {
                    below.set_budget(kibibytes.map(|kibibytes| usize::from(kibibytes) << 10));
                }
            }
        }
    }

    fn allocate(&mut self, size: u16, align: usize) {
        let layout = Layout::from_size_align(bytes::<S>(size), align).expect("a layout");
        if self.model().len() < MOST {
            // A subject may refuse: its raw domain fails, or it is full.
            let _ = self.model().allocate(layout);
        }
    }

    fn sweep(&mut self) {
        if !S::SWEEPS {
            return self.model().clear();
        }
        let mut subject = self.model.take().expect("there is one between requests").abandon();
        // SAFETY: the model that knew the blocks is gone, and nobody else had their addresses.
        unsafe { subject.sweep() };
        self.model = Some(Model::new(subject));
        self.model().check();
        self.nothing_below();
    }

    fn fail_after(&self, requests: Option<usize>) {
        match self.around {
            Around { fail: Some(fail), .. } => fail(requests),
            Around { below: Some(below), .. } => below.fail_after(requests),
            _ => {}
        }
    }

    fn heal(&self) {
        self.fail_after(None);
        if let Some(below) = self.around.below {
            below.set_budget(None);
        }
    }

    /// Whoever counts agrees with the model.
    fn compare(&mut self) {
        let around = self.around;
        let model = self.model();
        model.inspect();
        let live = (model.len(), model.bytes());
        if let Some(books) = around.books {
            assert_eq!(books(), live, "the books and the model count alike");
        }
        if let Some(below) = around.below {
            assert!(live.1 <= below.live().1, "more is served than there is");
        }
    }

    fn nothing_below(&self) {
        if let Some(books) = self.around.books {
            assert_eq!(books(), (0, 0), "nothing is left in the books");
        }
        if let Some(below) = self.around.below {
            assert_eq!(below.live(), (0, 0), "everything is back");
        }
    }
}

/// Raw domains are not asked for blocks of no bytes.
fn bytes<S: Tested>(size: u16) -> usize {
    usize::from(size % 20_001).max(usize::from(!S::SERVES_NOTHING))
}
