use super::{bytes::Reader, random::Random, *};

/// Batches of random records, encoded one after the other; each synced before the next one if
/// `synced`. Returns the bytes, the start of each batch, and the records.
fn journal(random: &mut Random, synced: bool) -> (Vec<u8>, Vec<usize>, Vec<Vec<Record>>) {
    let (mut bytes, mut starts, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=random.below(6) {
        let records: Vec<Record> = (0..=random.below(5)).map(|_| random.record()).collect();
        starts.push(bytes.len());
        let previous_length = if synced { bytes.len() as u64 } else { 0 };
        encode(&records, previous_length, &mut bytes);
        batches.push(records);
    }
    (bytes, starts, batches)
}

fn first(batches: &[Vec<Record>], count: usize) -> Vec<Record> {
    batches[..count].concat()
}

#[test]
fn what_was_written_is_read_again() {
    for seed in 0..200 {
        let (bytes, _, batches) = journal(&mut Random(seed), seed % 2 == 0);
        let recovered = recover(&bytes);
        assert_eq!(recovered.records, batches.concat(), "seed {seed}");
        assert_eq!(recovered.valid_length, bytes.len() as u64);
        assert_eq!(recovered.damage, None);
    }
}

#[test]
fn a_batch_without_records_takes_no_bytes() {
    let mut bytes = Vec::new();
    encode(&[], 7, &mut bytes);
    assert_eq!(bytes, []);
    assert_eq!(recover(&bytes), Recovered::default());
}

#[test]
fn a_journal_that_is_cut_anywhere_gives_its_whole_batches() {
    for seed in 0..40 {
        let (bytes, starts, batches) = journal(&mut Random(seed), true);
        for length in 0..bytes.len() {
            let recovered = recover(&bytes[..length]);
            let whole = starts
                .iter()
                .skip(1)
                .filter(|start| **start <= length)
                .count();
            assert_eq!(
                recovered.records,
                first(&batches, whole),
                "seed {seed}, cut at {length}"
            );
            assert_eq!(recovered.valid_length, starts[whole] as u64);
            assert_eq!(recovered.damage, None, "seed {seed}, cut at {length}");
        }
    }
}

#[test]
fn a_flipped_bit_is_damage_before_the_last_synced_batch_and_a_tail_in_it() {
    for seed in 0..12 {
        let (mut bytes, starts, batches) = journal(&mut Random(seed), true);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let recovered = recover(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let hit = starts.iter().filter(|start| **start <= bit / 8).count() - 1;
            let damage = starts.get(hit + 1).map(|next| Damage {
                offset: starts[hit] as u64,
                witness: *next as u64,
            });
            assert_eq!(
                recovered.records,
                first(&batches, hit),
                "seed {seed}, bit {bit}"
            );
            assert_eq!(recovered.valid_length, starts[hit] as u64);
            assert_eq!(recovered.damage, damage, "seed {seed}, bit {bit}");
        }
    }
}

#[test]
fn batches_that_were_never_synced_may_reach_the_disk_in_any_order() {
    for seed in 0..12 {
        let (mut bytes, starts, batches) = journal(&mut Random(seed), false);
        let second = starts.get(1).copied().unwrap_or(bytes.len());
        bytes[..second].fill(0);
        let recovered = recover(&bytes);
        assert_eq!(
            recovered,
            Recovered::default(),
            "seed {seed} of {} batches",
            batches.len()
        );
    }
}

#[test]
fn zeros_behind_the_last_batch_are_cut() {
    let (mut bytes, _, batches) = journal(&mut Random(1), true);
    let length = bytes.len();
    bytes.resize(length + 4_096, 0);
    let recovered = recover(&bytes);
    assert_eq!(
        (recovered.records, recovered.valid_length),
        (batches.concat(), length as u64)
    );
    assert_eq!(recovered.damage, None);
}

#[test]
fn a_whole_batch_with_records_of_another_version_is_damage() {
    let mut bytes = Vec::new();
    encode(&[Record::Reset], 0, &mut bytes);
    let start = bytes.len();
    encode(&[Record::Reset, Record::Reset], start as u64, &mut bytes);
    *bytes.last_mut().unwrap() = 99;
    let checksum = checksum(&bytes[start..]);
    bytes[start + 16..start + 20].copy_from_slice(&checksum.to_le_bytes());
    let recovered = recover(&bytes);
    assert_eq!(recovered.records, [Record::Reset]);
    let start = start as u64;
    assert_eq!(
        recovered.damage,
        Some(Damage {
            offset: start,
            witness: start
        })
    );
}

#[test]
fn a_batch_that_was_moved_forward_is_not_taken() {
    let mut bytes = Vec::new();
    encode(&[Record::Reset], 1_000, &mut bytes);
    assert_eq!(recover(&bytes), Recovered::default());
}

#[test]
fn hostile_bytes_give_no_records_and_no_panic() {
    let mut random = Random(5);
    for _ in 0..20_000 {
        let bytes = random.bytes(120);
        assert_eq!(recover(&bytes).records, []);
        let mut input = Reader::new(&bytes);
        while Record::take(&mut input).is_ok() {}
    }
}

#[test]
fn numbers_are_read_only_in_range() {
    let too_long = [0xff; 11];
    assert_eq!(
        u64::take(&mut Reader::new(&too_long)),
        Err(CodecFault::OutOfRange)
    );
    let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
    assert_eq!(
        u64::take(&mut Reader::new(&beyond)),
        Err(CodecFault::OutOfRange)
    );
    let mut endless = Vec::new();
    AttemptRange {
        first: AttemptId {
            sequence: u64::MAX,
            ..AttemptId::default()
        },
        count: 1,
    }
    .put(&mut endless);
    assert_eq!(
        AttemptRange::take(&mut Reader::new(&endless)),
        Err(CodecFault::OutOfRange)
    );
    for number in [0, 1, -1, i32::MAX, i32::MIN] {
        let mut bytes = Vec::new();
        number.put(&mut bytes);
        assert_eq!(i32::take(&mut Reader::new(&bytes)), Ok(number));
    }
}

#[test]
fn a_claimed_length_reserves_no_memory() {
    let mut bytes = vec![10];
    u64::MAX.put(&mut bytes);
    assert_eq!(
        Record::take(&mut Reader::new(&bytes)),
        Err(CodecFault::Truncated)
    );
}
