//! Call sites on `std`: scopes that a thread has open.

use core::{cell::Cell, panic::Location};
use std::{
    boxed::Box,
    collections::HashMap,
    string::String,
    sync::{Mutex, PoisonError},
};

use crate::{Frame, Site};

std::thread_local! {
    static INNERMOST: Cell<Site> = const { Cell::new(Site::UNKNOWN) };
}

type Key = (Site, &'static str, &'static Location<'static>);

/// Every scope that was ever opened, by its caller, its name and its place. Never removed: a site stays valid when the
/// scope is closed, and programs have so many scopes, not more.
static FRAMES: Mutex<Option<HashMap<Key, &'static Frame>>> = Mutex::new(None);

/// An open scope; it is closed when this is dropped, in reverse order.
#[derive(Debug)]
pub struct Scope {
    before: Site,
    /// Scopes belong to their thread.
    _here: core::marker::PhantomData<*const ()>,
}

/// Opens a scope on this thread: what is allocated until it is closed comes from there.
#[track_caller]
#[must_use = "the scope is closed when it is dropped"]
pub fn scope(name: &str) -> Scope {
    let (before, place) = (site(), Location::caller());
    let _ = INNERMOST.try_with(|innermost| innermost.set(Site(Some(frame(before, name, place)))));
    Scope { before, _here: core::marker::PhantomData }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let _ = INNERMOST.try_with(|innermost| innermost.set(self.before));
    }
}

/// The innermost scope that this thread has open.
pub fn site() -> Site {
    // A thread that ends may still free.
    INNERMOST.try_with(Cell::get).unwrap_or(Site::UNKNOWN)
}

fn frame(caller: Site, name: &str, place: &'static Location<'static>) -> &'static Frame {
    let mut frames = FRAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let frames = frames.get_or_insert_with(HashMap::new);
    {
        // As a map of shorter names, it can be asked for one.
        let known: &HashMap<(Site, &str, &'static Location<'static>), _> = frames;
        if let Some(frame) = known.get(&(caller, name, place)) {
            return frame;
        }
    }
    let name: &'static str = Box::leak(String::from(name).into_boxed_str());
    let frame: &'static Frame = Box::leak(Box::new(Frame { name, place: Some(place), caller }));
    frames.insert((caller, name, place), frame);
    frame
}
