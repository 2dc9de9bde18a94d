//! Two macros the whole kernel uses.

/// A function that is `const` everywhere but under loom, whose atomics cannot be made in a const.
macro_rules! const_unless_loom {
    ($(#[$m:meta])* $v:vis const fn $($rest:tt)*) => {
        #[cfg(not(archipelago_loom))]
        $(#[$m])* $v const fn $($rest)*
        #[cfg(archipelago_loom)]
        $(#[$m])* $v fn $($rest)*
    };
}

/// Declares one operation's error enum: variants, stable codes and the text for those who ask.
macro_rules! errors {
    ($(#[$m:meta])* pub enum $name:ident { $($(#[$vm:meta])* $variant:ident = $code:literal => $text:literal,)+ }) => {
        $(#[$m])*
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vm])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of the codes.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The stable code, the same in Rust, in C and in the command (docs/errors.md).
            pub const fn code(self) -> u16 {
                match self { $($name::$variant => $code,)+ }
            }

            /// The variant's name.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant),)+ }
            }

            /// What was asked, what was found and what to do.
            pub const fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.text())
            }
        }

        impl core::error::Error for $name {}
    };
}
