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

/// Declares one operation's error enum: variants, stable codes and the text for those who ask; after `wraps`
/// the errors of other operations that it passes on.
macro_rules! errors {
    (
        $(#[$m:meta])* pub enum $name:ident { $($(#[$vm:meta])* $variant:ident = $code:literal => $text:literal,)+ }
        $(wraps { $($(#[$wm:meta])* $wrap:ident($inner:ident),)+ })?
    ) => {
        $(#[$m])*
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vm])* $variant,)+ $($($(#[$wm])* $wrap($inner),)+)? }

        impl $name {
            /// Every variant of this operation's own, in the order of the codes.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The stable code, the same in Rust, in C and in the command (docs/errors.md).
            pub const fn code(self) -> u16 {
                match self { $($name::$variant => $code,)+ $($($name::$wrap(e) => e.code(),)+)? }
            }

            /// The variant's name.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant),)+ $($($name::$wrap(e) => e.name(),)+)? }
            }

            /// What was asked, what was found and what to do.
            pub const fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)+ $($($name::$wrap(e) => e.text(),)+)? }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $($($name::$wrap(e) => core::fmt::Display::fmt(e, f),)+)?
                    #[allow(unreachable_patterns)]
                    _ => f.write_str(self.text()),
                }
            }
        }

        impl core::error::Error for $name {}

        $($(impl From<$inner> for $name {
            fn from(e: $inner) -> Self {
                $name::$wrap(e)
            }
        })+)?
    };
}
