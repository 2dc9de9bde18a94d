//! Call sites: where in the program a request came from, as far as the host can tell.

use core::{
    fmt,
    hash::{Hash, Hasher},
    panic::Location,
    ptr,
};

/// One step of a call path: a name, where it is in the source, and who called it. Lives for ever, so a site is one
/// word: a firmware declares statics, and a std host interns its scopes.
#[derive(Debug)]
pub struct Frame {
    /// What it is called.
    pub name: &'static str,
    /// Where it is.
    pub place: Option<&'static Location<'static>>,
    /// Who called it.
    pub caller: Site,
}

impl Frame {
    /// The outermost step.
    pub const fn root(name: &'static str) -> Self {
        Frame { name, place: None, caller: Site::UNKNOWN }
    }

    /// A step below `caller`.
    pub const fn below(caller: &'static Frame, name: &'static str) -> Self {
        Frame { name, place: None, caller: Site(Some(caller)) }
    }
}

/// Where a request came from: the innermost frame, or nothing.
#[derive(Debug, Clone, Copy)]
pub struct Site(pub Option<&'static Frame>);

impl Site {
    /// The host cannot tell.
    pub const UNKNOWN: Site = Site(None);

    /// The frames, from the innermost outwards.
    pub fn frames(self) -> impl Iterator<Item = &'static Frame> {
        core::iter::successors(self.0, |frame| frame.caller.0)
    }

    fn address(self) -> *const Frame {
        self.0.map_or(ptr::null(), ptr::from_ref)
    }

    /// The names from the outermost inwards, with `between` between them.
    fn write_path(self, out: &mut impl fmt::Write, between: &str) -> fmt::Result {
        self.write_path_with(out, between, |out, name| out.write_str(name))
    }

    /// As [`write_path`](Self::write_path), with the names written by `write_name`.
    pub(crate) fn write_path_with<W: fmt::Write>(
        self,
        out: &mut W,
        between: &str,
        write_name: fn(&mut W, &str) -> fmt::Result,
    ) -> fmt::Result {
        let depth = self.frames().count();
        for n in (0..depth).rev() {
            let name = self.frames().nth(n).map_or("", |frame| frame.name);
            write_name(out, name)?;
            if n > 0 {
                out.write_str(between)?;
            }
        }
        Ok(())
    }
}

impl PartialEq for Site {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Site {}

impl Hash for Site {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(frame) = self.0 else { return f.write_str("an unknown place") };
        self.write_path(f, " > ")?;
        match frame.place {
            Some(place) => write!(f, " ({}:{})", place.file(), place.line()),
            None => Ok(()),
        }
    }
}
