//! How the blocks of a pool are aligned.

mod sealed {
    pub trait Sealed {}
}

/// An alignment as a type: that of the first block of a pool. The others follow from the size of the blocks.
pub trait Alignment: sealed::Sealed + Copy + Send + Sync + 'static {}

macro_rules! alignments {
    ($($name:ident = $align:literal),+) => { $(
        #[doc = concat!("Aligned to ", $align, " bytes.")]
        #[derive(Debug, Clone, Copy)]
        #[repr(align($align))]
        pub struct $name;

        impl sealed::Sealed for $name {}
        impl Alignment for $name {}
    )+ };
}

alignments!(A16 = 16, A64 = 64, A256 = 256, A512 = 512, A1024 = 1024, A4096 = 4096);
