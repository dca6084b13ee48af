//! The integration tests of the binary: sessions of a user, and what happens when a process dies.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod graph_patterns;
#[cfg(test)]
mod library;
#[cfg(test)]
mod remote_driver;
#[cfg(test)]
mod resource_types;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod session;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod terraform;
#[cfg(test)]
mod tls;
