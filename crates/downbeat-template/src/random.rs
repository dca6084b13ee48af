//! The stream every random function draws from: decided by the seed, call by call.
//!
//! Blocks of HMAC-SHA-256 over a counter, keyed with the seed. A template rendered twice with one
//! seed gives the same passwords and ids, which is what lets a deployment be repeated.

use aws_lc_rs::hmac;

pub(crate) struct Random {
    seed: [u8; 32],
    key: Option<hmac::Key>,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, key: None, counter: 0, block: [0; 32], used: 32 }
    }

    fn byte(&mut self) -> u8 {
        if self.used >= self.block.len() {
            let seed = &self.seed;
            let key = self.key.get_or_insert_with(|| hmac::Key::new(hmac::HMAC_SHA256, seed));
            let tag = hmac::sign(key, &self.counter.to_be_bytes());
            self.block.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
            self.counter += 1;
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.byte());
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// Returns a number below `bound`, every one equally likely; 0 if the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound <= 256 {
            return self.below_256(bound);
        }
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let value = self.next_u64();
            if value < limit {
                return value % bound;
            }
        }
    }

    /// The same with one byte per draw.
    fn below_256(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let limit = 256 - 256 % bound;
        loop {
            let value = u64::from(self.byte());
            if value < limit {
                return value % bound;
            }
        }
    }
}
