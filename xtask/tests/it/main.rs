//! Rules of the house that can be checked without running anything.

// `cfg(test)` so that clippy takes the helpers, too, for tests.
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod house;
#[cfg(test)]
mod repository;
