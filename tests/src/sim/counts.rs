//! `counted!`: kinds of things with a name, and how often each of them happened.

macro_rules! counted {
    ($(#[$kind_doc:meta])* $Kind:ident, $(#[$counts_doc:meta])* $Counts:ident;
     $($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        $(#[$kind_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Kind { $($(#[$doc])* $name,)+ }

        impl $Kind {
            /// All of them.
            pub const ALL: &'static [$Kind] = &[$($Kind::$name,)+];

            /// What it is called in the summary.
            pub const fn name(self) -> &'static str {
                match self { $($Kind::$name => $text,)+ }
            }
        }

        $(#[$counts_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Counts([u64; $Kind::ALL.len()]);

        impl $Counts {
            /// None yet.
            pub const NONE: $Counts = $Counts([0; $Kind::ALL.len()]);

            /// One more.
            pub fn add(&mut self, kind: $Kind) {
                self.add_many(kind, 1);
            }

            /// `n` more.
            pub fn add_many(&mut self, kind: $Kind, n: u64) {
                self.0[kind as usize] += n;
            }

            /// How many of a kind.
            pub fn of(&self, kind: $Kind) -> u64 {
                self.0[kind as usize]
            }

            /// Adds those of another world.
            pub fn merge(&mut self, other: &$Counts) {
                for (a, b) in self.0.iter_mut().zip(&other.0) {
                    *a += b;
                }
            }

            /// A number that tells two runs apart.
            pub fn digest(&self) -> u64 {
                self.0.iter().fold(0, |h, n| $crate::sim::rng::mix(h ^ n))
            }
        }

        impl std::fmt::Display for $Counts {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                for kind in $Kind::ALL {
                    writeln!(f, "  {:>14}  {}", self.of(*kind), kind.name())?;
                }
                Ok(())
            }
        }
    };
}
