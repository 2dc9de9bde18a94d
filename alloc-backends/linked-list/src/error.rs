//! Why a region was not taken.

/// Why a region was not taken. The allocator is as it was.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitError {
    /// The region has no room for a single block.
    TooSmall,
    /// The allocator has a region already.
    AlreadyInitialized,
}

impl core::fmt::Display for InitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            InitError::TooSmall => {
                "linked list: the region has no room for a single block: give a larger one"
            }
            InitError::AlreadyInitialized => "linked list: there is a region already: initialize once",
        })
    }
}

impl core::error::Error for InitError {}
