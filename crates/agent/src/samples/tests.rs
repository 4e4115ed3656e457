//! Samples of this very machine, and of files as other machines have them.

use super::{parse::Counters, *};

#[test]
fn a_sample_of_this_machine_is_plausible_and_the_second_one_has_rates() {
    let mut samples = Samples::default();
    let folder = Path::new("/tmp");
    let first = samples.take(folder);
    assert_eq!(
        (first.cpu, first.cores.len()),
        (None, 0),
        "rates need two readings"
    );
    let mut second = samples.take(folder);
    let deadline = clock::moment() + Duration::from_secs(10);
    // A core that counted no tick between two readings has no rate.
    while second.cores.is_empty() && clock::moment() < deadline {
        let mut sum = 0_u64;
        for number in 0..1_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        second = samples.take(folder);
    }
    let memory = second.memory.unwrap();
    assert!(memory.total.0 > 0 && memory.available <= memory.total);
    assert!(memory.swap_free <= memory.swap_total);
    let space = second.data.unwrap();
    assert!(space.total.0 > 0 && space.free <= space.total);
    assert!(second.uptime > Duration::ZERO && second.taken_at.0 > 0);
    assert!(second.load.is_some());
    let cores = u32::try_from(second.cores.len()).unwrap();
    assert!(cores >= 1);
    assert!(second.cpu.unwrap() <= Cpus::whole(cores));
    assert!(second.cores.iter().all(|core| *core <= Cpus::whole(1)));
}

#[test]
fn busy_time_is_counted_between_two_readings() {
    let before = parse::cores("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 10 0 10 80 0 0 0 0 0 0\nintr 5\n");
    let after =
        parse::cores("cpu  35 0 35 130 0 0 0 0 7 0\ncpu0 35 0 35 130 0 0 0 0 7 0\nintr 5\n");
    assert_eq!((before.len(), after.len()), (2, 2));
    assert_eq!(after[1].busy_since(before[1], 1_000), Some(500));
    assert_eq!(before[1].busy_since(after[1], 1_000), None);
    assert_eq!(after[0].busy_since(after[0], 1_000), None);
}

#[test]
fn only_whole_disks_and_real_interfaces_are_told() {
    let line = |name: &str| format!("   8 0 {name} 1 2 3 4 5 6 7 8 9 10 11\n");
    let names = [
        "sda",
        "sda1",
        "nvme0n1",
        "nvme0n1p2",
        "loop0",
        "vdb",
        "dm-0",
        "mmcblk0",
        "mmcblk0p1",
    ];
    let text: String = names.iter().map(|name| line(name)).collect();
    let disks = parse::disks(&text);
    let found: Vec<&str> = disks.keys().map(String::as_str).collect();
    assert_eq!(found, ["mmcblk0", "nvme0n1", "sda", "vdb"]);
    let expected = Counters {
        incoming: 3 * 512,
        outgoing: 7 * 512,
    };
    assert_eq!(disks["sda"], expected);
    let text = "Inter-|\n face |\n    lo: 1 1 0 0 0 0 0 0 1 1\n  eth0:100 1 0 0 0 0 0 0 200 1\n";
    let expected = Counters {
        incoming: 100,
        outgoing: 200,
    };
    assert_eq!(
        parse::networks(text),
        BTreeMap::from([("eth0".to_owned(), expected)])
    );
}

#[test]
fn rates_are_per_second_and_unknown_when_a_counter_began_anew() {
    let at = |incoming| {
        let counters = Counters {
            incoming,
            outgoing: 0,
        };
        BTreeMap::from([("eth0".to_owned(), counters)])
    };
    let mut before = at(1_000);
    let span = Some(Duration::from_secs(2));
    let rate = |devices: Vec<DeviceSample>| devices[0].incoming_rate;
    assert_eq!(
        rate(devices(&mut before, at(5_000), span)),
        Some(Bytes(2_000))
    );
    assert_eq!(rate(devices(&mut before, at(10), span)), None);
    assert_eq!(rate(devices(&mut before, at(20), None)), None);
}

#[test]
fn pressure_load_and_memory_are_read_and_nonsense_is_unknown() {
    let text = "some avg10=12.34 avg60=1.00 avg300=0.00 total=5\nfull avg10=0.50 avg60=0 avg300=0 total=1\n";
    let pressure = parse::pressure(text).unwrap();
    assert_eq!((pressure.some, pressure.full), (1_234, 50));
    assert_eq!(parse::pressure("some avg60=1.00"), None);
    assert_eq!(
        parse::load("0.25 1.00 12.34 1/100 999\n"),
        Some([25, 100, 1_234])
    );
    assert_eq!(parse::load("0.25 1.00"), None);
    assert_eq!(parse::memory("MemTotal: 1 kB\n"), None);
}
