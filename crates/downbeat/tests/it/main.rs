//! The integration tests of the binary: sessions of a user, and what happens when a process dies.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod graph_patterns;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod session;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod terraform;
