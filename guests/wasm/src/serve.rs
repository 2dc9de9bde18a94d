//! Serving a request: waiting where a wake is seen, then doing what was asked.

use crate::{
    descriptor::{Descriptor, Stopped},
    request::{Event, Interest, Request, Response, Subscription, Target},
    wake::{WakeFd, retry},
};
use core::time::Duration;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::AsFd,
    io::ioctl_fionread,
};
use std::{
    io, thread,
    time::{Instant, SystemTime},
};

/// The wall clock can be set while we wait for it, and `poll` knows only the monotonic one.
const WALL_CLOCK_LOOK: Duration = Duration::from_secs(1);

/// Serves `request`, waiting as long as it takes; `None` when `wake` was set first, and then nothing was transferred.
///
/// Call it outside the engine, with the interpreter detached. After a `None` the same request can be served again, or
/// the instance dropped. The wake stays set until it is drained.
pub fn serve(request: &Request, wake: &WakeFd) -> Option<Response> {
    match request {
        Request::Read { from, length, wait: true } => answer(from.read(*length, wake)).map(Response::Read),
        Request::Read { from, length, wait: false } => {
            Some(Response::Read(from.try_read(*length).map_err(Into::into)))
        }
        Request::Write { to, bytes, wait: true } => answer(to.write(bytes, wake)).map(Response::Wrote),
        Request::Write { to, bytes, wait: false } => {
            Some(Response::Wrote(to.try_write(bytes).map_err(Into::into)))
        }
        Request::Emit { to, bytes } => answer(to.write(bytes, wake)).map(Response::Wrote),
        Request::Poll(subscriptions) => wait(subscriptions, wake).map(Response::Polled),
        Request::Yield => {
            thread::yield_now();
            Some(Response::Yielded)
        }
    }
}

/// `None` for a wake; errors of the operating system are answers, because the program is to see them.
fn answer<T>(result: Result<T, Stopped>) -> Option<io::Result<T>> {
    match result {
        Ok(value) => Some(Ok(value)),
        Err(Stopped::Failed(error)) => Some(Err(error)),
        Err(Stopped::Woken) => None,
    }
}

fn wait(subscriptions: &[Subscription], wake: &WakeFd) -> Option<Vec<Option<Event>>> {
    let watched: Vec<(usize, &Descriptor, PollFlags)> = subscriptions
        .iter()
        .enumerate()
        .filter_map(|(index, subscription)| match subscription {
            Subscription::Ready(Target::Descriptor(descriptor), interest) => {
                Some((index, &**descriptor, flags(*interest)))
            }
            _ => None,
        })
        .collect();
    loop {
        let mut events: Vec<Option<Event>> = subscriptions.iter().map(due).collect();
        let timeout = match events.iter().any(Option::is_some) {
            true => Some(Duration::ZERO),
            false => subscriptions.iter().filter_map(remaining).min(),
        };
        let mut fds: Vec<PollFd<'_>> = watched
            .iter()
            .map(|(_, descriptor, interest)| PollFd::from_borrowed_fd(descriptor.as_fd(), *interest))
            .collect();
        fds.push(PollFd::new(wake, PollFlags::IN));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if retry(|| poll(&mut fds, timeout.as_ref())).is_err() {
            // Out of memory, or more files than the process may poll: the program sees every file failed.
            for (index, ..) in &watched {
                events[*index] = Some(Event { failed: true, ..Event::default() });
            }
        } else {
            for ((index, descriptor, interest), fd) in watched.iter().zip(&fds) {
                events[*index] = event(descriptor, *interest, fd.revents());
            }
        }
        if events.iter().any(Option::is_some) {
            return Some(events);
        }
        if fds.last().is_some_and(|fd| !fd.revents().is_empty()) {
            return None;
        }
    }
}

/// The event of a subscription that needs no descriptor.
fn due(subscription: &Subscription) -> Option<Event> {
    let due = match subscription {
        Subscription::Monotonic(at) => at.is_some_and(|at| Instant::now() >= at),
        Subscription::Realtime(at) => SystemTime::now() >= *at,
        Subscription::Ready(Target::Always, _) => true,
        Subscription::Ready(Target::Unknown, _) => return Some(Event { unknown: true, ..Event::default() }),
        Subscription::Ready(Target::Descriptor(_), _) => false,
    };
    due.then(Event::default)
}

/// How long to sleep before a clock has to be looked at.
fn remaining(subscription: &Subscription) -> Option<Duration> {
    match subscription {
        Subscription::Monotonic(at) => at.map(|at| at.saturating_duration_since(Instant::now())),
        Subscription::Realtime(at) => {
            Some(at.duration_since(SystemTime::now()).unwrap_or_default().min(WALL_CLOCK_LOOK))
        }
        Subscription::Ready(..) => None,
    }
}

fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
    }
}

fn event(descriptor: &Descriptor, interest: PollFlags, seen: PollFlags) -> Option<Event> {
    if seen.is_empty() {
        return None;
    }
    let bytes = match interest {
        PollFlags::IN => ioctl_fionread(descriptor).unwrap_or(1).max(1),
        _ => 0,
    };
    Some(Event {
        bytes,
        hangup: seen.contains(PollFlags::HUP),
        unknown: seen.contains(PollFlags::NVAL),
        failed: seen.contains(PollFlags::ERR) && !seen.contains(PollFlags::HUP),
    })
}
