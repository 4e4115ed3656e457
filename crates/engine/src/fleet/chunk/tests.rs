use super::*;

/// The same changes on a plain vector give the same states, through both forms and the bytes.
fn check(count: u32, changes: &[(u32, u32, TaskState)]) {
    let mut chunk = Chunk::waiting(count);
    let mut plain = vec![TaskState::Waiting; count as usize];
    for (first, length, state) in changes {
        chunk.set(*first, *length, *state);
        plain[*first as usize..(first + length) as usize].fill(*state);
        if let Form::Runs(runs) = &chunk.form {
            assert!(
                runs.windows(2)
                    .all(|pair| pair[0].start < pair[1].start && pair[0].state != pair[1].state)
            );
        }
    }
    let seen: Vec<TaskState> = (0..count).map(|offset| chunk.state(offset)).collect();
    assert_eq!(seen, plain);
    let mut runs = Vec::new();
    chunk.for_each_run(|start, length, state| {
        runs.extend(std::iter::repeat_n(state, length as usize));
        assert_eq!(chunk.next(state, start), Some((start, length)));
    });
    assert_eq!(runs, plain);
    let back = Chunk::decode(&chunk.encode()).expect("own bytes decode");
    assert_eq!(back, chunk);
    assert_eq!(
        (0..count)
            .map(|offset| back.state(offset))
            .collect::<Vec<_>>(),
        plain
    );
}

fn random_changes(
    seed: u64,
    count: u32,
    changes: usize,
    longest: u32,
) -> Vec<(u32, u32, TaskState)> {
    let mut state = seed;
    let mut next = move |below: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((state >> 33) % u64::from(below)).expect("below a u32")
    };
    (0..changes)
        .map(|_| {
            let first = next(count);
            let length = 1 + next(longest.min(count - first));
            (first, length, TaskState::ALL[next(8) as usize])
        })
        .collect()
}

#[test]
fn changes_give_the_same_states_as_a_plain_vector() {
    check(
        1,
        &[(0, 1, TaskState::Granted), (0, 1, TaskState::Succeeded)],
    );
    for seed in 0..200 {
        check(50, &random_changes(seed, 50, 60, 12));
    }
    for seed in 0..4 {
        check(20_000, &random_changes(seed, 20_000, 12_000, 3));
        check(CHUNK_TASKS, &random_changes(seed, CHUNK_TASKS, 40, 30_000));
    }
}

#[test]
fn a_chunk_with_many_runs_becomes_a_map_and_a_list_again() {
    let mut chunk = Chunk::waiting(CHUNK_TASKS);
    for offset in (0..CHUNK_TASKS).step_by(3) {
        chunk.set(offset, 1, TaskState::Failed);
    }
    assert!(matches!(chunk.form, Form::Map(_)));
    assert_eq!(chunk.encode().len(), 5 + 32 * 1024);
    chunk.set(0, CHUNK_TASKS, TaskState::Succeeded);
    assert_eq!(chunk.encode().len(), 5 + 3);
    assert_eq!(chunk.next(TaskState::Waiting, 0), None);
}

#[test]
fn damaged_bytes_are_refused() {
    let mut chunk = Chunk::waiting(100);
    chunk.set(10, 20, TaskState::Granted);
    let bytes = chunk.encode();
    for length in 0..bytes.len() {
        assert_eq!(Chunk::decode(&bytes[..length]), None, "cut at {length}");
    }
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut hostile = bytes.clone();
            hostile[index] ^= 1 << bit;
            if let Some(other) = Chunk::decode(&hostile) {
                for offset in 0..other.count() {
                    other.state(offset);
                }
            }
        }
    }
}
