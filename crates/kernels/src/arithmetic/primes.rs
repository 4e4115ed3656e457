//! Counts primes with a segmented sieve of Eratosthenes over the odd numbers.

use crate::{fault::KernelFault, stop::Stop};

/// Odd numbers of a segment, a byte each: it stays in the second-level cache, and one segment takes
/// well under a millisecond, which is how often the flag is read.
const SEGMENT_LENGTH: u64 = 1 << 18;

/// The primes up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Primes {
    /// How many there are.
    pub(super) count: u64,
    /// The last one.
    pub(super) largest: Option<u64>,
}

/// The primes up to `n`, itself included.
pub(super) fn up_to(n: u64, stop: &Stop) -> Result<Primes, KernelFault> {
    if n < 2 {
        return Ok(Primes {
            count: 0,
            largest: None,
        });
    }
    let mut found = Primes {
        count: 1,
        largest: Some(2),
    };
    let mut crossers: Vec<Crosser> = base_primes(n.isqrt()).map(Crosser::new).collect();
    let mut composite = vec![false; length(SEGMENT_LENGTH)];
    // Number `2 * place + 1` has the place `place`; place 0 is the number 1.
    let places = n.div_ceil(2);
    let mut first = 1;
    while first < places {
        if stop.raised() {
            return Err(KernelFault::Stopped);
        }
        let segment = &mut composite[..length((places - first).min(SEGMENT_LENGTH))];
        segment.fill(false);
        for crosser in &mut crossers {
            crosser.cross(first, segment);
        }
        found.take(first, segment);
        first += SEGMENT_LENGTH;
    }
    Ok(found)
}

impl Primes {
    fn take(&mut self, first: u64, segment: &[bool]) {
        let composites = segment
            .iter()
            .map(|composite| u64::from(*composite))
            .sum::<u64>();
        self.count += segment.len() as u64 - composites;
        if let Some(last) = segment.iter().rposition(|composite| !composite) {
            self.largest = Some(2 * (first + last as u64) + 1);
        }
    }
}

/// An odd prime and the place of its next odd multiple.
struct Crosser {
    prime: u64,
    next: u64,
}

impl Crosser {
    /// Smaller multiples than the square have a smaller prime factor.
    fn new(prime: u64) -> Self {
        Self {
            prime,
            next: prime * prime / 2,
        }
    }

    fn cross(&mut self, first: u64, segment: &mut [bool]) {
        let end = first + segment.len() as u64;
        // Two odd multiples are two primes apart, which is one prime in places.
        while self.next < end {
            segment[length(self.next - first)] = true;
            self.next += self.prime;
        }
    }
}

/// The odd primes up to `n`, which is at most the root of the largest bound.
fn base_primes(n: u64) -> impl Iterator<Item = u64> {
    let mut composite = vec![false; length(n.div_ceil(2)).max(1)];
    composite[0] = true;
    for place in 1..composite.len() {
        let number = 2 * place + 1;
        if number * number > length(n) {
            break;
        }
        if !composite[place] {
            (number * number / 2..composite.len())
                .step_by(number)
                .for_each(|multiple| composite[multiple] = true);
        }
    }
    let places = composite
        .into_iter()
        .enumerate()
        .filter(|(_, composite)| !composite);
    places.map(|(place, _)| 2 * place as u64 + 1)
}

fn length(places: u64) -> usize {
    usize::try_from(places).expect("a segment or the root of the bound fits in memory")
}
