//! What a step can reach: nothing of the machine, nothing of others; and what of its work comes into the artifact.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::support::{
    Served, command, last_layer, listing, prepare, script, script_base, server, shared_data, small_base, source, tar,
    till, unique,
};

/// The numbers of the capabilities that root inside may have (capability.h): over the instance's own ids only.
const CAPABILITIES: [u64; 11] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31];

/// `NAME: VALUE` lines of what a step said.
fn facts(base: &str, app: &str, text: &str) -> BTreeMap<String, String> {
    let called = script(base, app, text).ok();
    let pair = |line: &&str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    called.said().iter().filter_map(pair).collect()
}

/// Runs a script as root inside, which is to end well; what it prints is what went wrong.
#[track_caller]
fn nothing_wrong(base: &str, app: &str, text: &str) {
    let called = script(base, app, text).ok();
    assert_eq!(called.said(), Vec::<&str>::new());
}

fn root_inside_is_nobody_outside() {
    let base = script_base("root", "none");
    let text = "echo uid: $(id -u); echo map: $(cat /proc/self/uid_map /proc/self/gid_map); touch mine
        grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
    let facts = facts(&base, "root-inside", text);
    assert_eq!(facts["uid"], "0");
    assert_eq!(facts["map"], "0 100000 65536 0 100000 65536");
    assert_eq!((facts["NoNewPrivs"].as_str(), facts["Seccomp"].as_str()), ("1", "2"));
    let allowed: u64 = CAPABILITIES.iter().map(|number| 1 << number).sum();
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(u64::from_str_radix(&facts[set], 16).unwrap(), allowed, "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(u64::from_str_radix(&facts[set], 16).unwrap(), 0, "{set}");
    }
    let shown = till(&["artifact", "show", "root-inside", "--json"]).ok().json();
    let layer = shown["layers"].as_array().unwrap().last().unwrap()["diff_id"].as_str().unwrap().to_owned();
    let trees = std::fs::read_dir(shared_data().join("layers")).unwrap().flatten();
    let mine = trees.map(|entry| entry.path().join(layer.trim_start_matches("sha256:")).join("app/mine"));
    let meta = mine.filter_map(|path| std::fs::metadata(path).ok()).next().unwrap();
    assert_eq!((meta.uid(), meta.gid()), (100_000, 100_000));
}

fn a_user_that_is_not_root_has_no_capability_and_gets_none() {
    let base = script_base("app", "none");
    let text = "echo uid: $(id -u); echo groups: $(id -G); grep -E '^Cap' /proc/self/status
        su root -c id > /dev/null 2>&1 < /dev/null && echo su: works || echo su: no
        cp /bin/cat mine; chmod u+s mine; [ -r /etc/shadow ] && echo shadow: read || echo shadow: no";
    let facts = facts(&base, "not-root", text);
    assert_eq!((facts["uid"].as_str(), facts["groups"].as_str()), ("1000", "1000"));
    assert_eq!((facts["su"].as_str(), facts["shadow"].as_str()), ("no", "no"));
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(facts[set], "0000000000000000", "{set}");
    }
}

fn the_machines_processes_are_not_seen() {
    let base = script_base("root", "none");
    let text = "for p in /proc/[0-9]*; do [ ${p#/proc/} -lt 100 ] || echo $p; done
        [ $(cat /proc/1/comm) = bash ] || cat /proc/1/comm
        grep -q till /proc/1/environ && echo environ
        kill -9 -1 2> /dev/null; [ $(hostname) = till ] || hostname
        [ $(ls /proc/1/root | wc -l) -gt 5 ] || echo root
        [ \"$(readlink /proc/self/ns/cgroup)\" != '' ] || echo cgroup; [ \"$(cut -d: -f3 /proc/self/cgroup | sort -u)\" = / ] || cat /proc/self/cgroup";
    nothing_wrong(&base, "processes", text);
}

/// Commands of which each has to fail; that they are there is looked at before.
const REFUSED: [&str; 13] = [
    "unshare --user true",
    "unshare --mount true",
    "unshare --net true",
    "nsenter --target 1 --mount true",
    "mknod null c 1 3",
    "mknod disk b 8 0",
    "dmesg",
    "hostname other",
    "date --set 2001-01-01",
    "nice -n -10 sh -c '[ $(nice) -lt 0 ]'",
    "chown 70000 mine",
    "blockdev --getsz /dev/vda",
    "setpriv --inh-caps +sys_admin --ambient-caps +sys_admin true",
];

fn what_only_the_machines_root_may_is_refused() {
    let base = script_base("root", "none");
    let mut text = String::from("touch mine\n");
    for line in REFUSED {
        let word = line.split(' ').next().unwrap();
        let quoted = line.replace('\'', "'\\''");
        text.push_str(&format!("command -v {word} > /dev/null || echo 'no {word}'\n"));
        text.push_str(&format!("( {line} ) > /dev/null 2>&1 && echo '{quoted}'\n"));
    }
    text.push_str("true\n");
    nothing_wrong(&base, "refused", &text);
}

/// System calls by name and number on x86_64, with arguments that would not fail by themselves.
const CALLS: [(&str, u32, &str); 17] = [
    ("mount a tmpfs", 165, "$none, $place, $tmpfs, 0, 0"),
    ("bind /etc", 165, "$etc, $place, 0, 4096, 0"),
    ("remount /proc/sys", 165, "$none, $settings, 0, 32, 0"),
    ("umount", 166, "$settings, 0"),
    ("detach", 166, "$settings, 2"),
    ("pivot_root", 155, "$place, $place"),
    ("swapon", 167, "$place, 0"),
    ("bpf", 321, "0, 0, 0"),
    ("keyctl", 250, "0, -3, 0"),
    ("add_key", 248, "0, 0, 0, 0, 0"),
    ("userfaultfd", 323, "0"),
    ("perf_event_open", 298, "0, 0, 0, 0, 0"),
    ("open_by_handle_at", 304, "-1, 0, 0"),
    ("init_module", 175, "0, 0, 0"),
    ("kexec_load", 246, "0, 0, 0, 0"),
    ("fsopen", 430, "0, 0"),
    ("setns", 308, "0, 0"),
];

#[cfg(target_arch = "x86_64")]
fn system_calls_that_open_the_kernel_are_closed() {
    let base = script_base("root", "none");
    let mut text = String::new();
    for (name, number, arguments) in CALLS {
        // 1 is EPERM, 38 is ENOSYS.
        text.push_str(&format!(
            "perl -e '($none, $place, $tmpfs, $etc, $settings) = qw(none /mnt tmpfs /etc /proc/sys);
                $r = syscall({number}, {arguments}); exit !($r < 0 && ($! == 1 || $! == 38))' || echo {name}\n"
        ));
    }
    text.push_str("perl -e 'exit !(syscall(39) > 0)' || echo getpid\n");
    nothing_wrong(&base, "calls", &text);
}

fn what_would_show_of_the_machine_is_masked_and_its_settings_cannot_be_changed() {
    let base = script_base("root", "none");
    let text = "for f in /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/timer_list /proc/timer_stats; do
            [ ! -e $f ] || [ $(head -c 1 $f | wc -c) = 0 ] || echo $f
        done
        for d in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
            [ ! -e $d ] || [ -z \"$(ls -A $d)\" ] || echo $d
        done
        for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/overcommit_memory \\
            /proc/sys/net/ipv4/ip_forward /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
            (echo 1 > $f) 2> /dev/null && echo $f
        done
        find /proc/sys /sys -type f -writable 2> /dev/null | head -5 | while read f; do
            (cat $f > /tmp/x && cat /tmp/x > $f) 2> /dev/null && echo $f
        done
        touch /sys/x 2> /dev/null && echo /sys
        mkdir /sys/fs/cgroup/x 2> /dev/null && echo cgroup
        for f in /dev/*; do case $f in
            /dev/core|/dev/fd|/dev/full|/dev/mqueue|/dev/null|/dev/ptmx|/dev/pts|/dev/random|/dev/shm|/dev/std*|/dev/tty|/dev/urandom|/dev/zero|/dev/console) ;;
            *) echo $f;; esac; done
        [ $(ulimit -c) = 0 ] || echo core; true";
    nothing_wrong(&base, "masked", text);
}

/// What listens on this machine: on its loopback, and on each of its own addresses.
struct Machine {
    listeners: Vec<TcpListener>,
    datagrams: UdpSocket,
}

impl Machine {
    fn new() -> Self {
        let mut listeners = vec![TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap()];
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        // A machine may have no IPv6.
        listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok());
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        Self { listeners, datagrams }
    }

    fn ports(&self) -> String {
        let port = |address: SocketAddr| address.port().to_string();
        self.listeners.iter().map(|listener| port(listener.local_addr().unwrap())).collect::<Vec<_>>().join(" ")
    }

    /// The addresses that this machine has towards the outside.
    fn address() -> String {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let found = socket.connect(("192.0.2.77", 9)).and_then(|()| socket.local_addr());
        found.map_or_else(|_| "127.0.0.1".to_owned(), |address| address.ip().to_string())
    }

    #[track_caller]
    fn assert_untouched(&self) {
        for listener in &self.listeners {
            let touched = listener.accept().map_err(|error| error.kind());
            assert!(matches!(touched, Err(ErrorKind::WouldBlock)), "{touched:?}");
        }
        let received = self.datagrams.recv(&mut [0; 16]).map_err(|error| error.kind());
        assert_eq!(received, Err(ErrorKind::WouldBlock));
    }

    /// A script that knocks at all of it, by every address that it can know.
    fn knocking(&self, ports: &str) -> String {
        let datagrams = self.datagrams.local_addr().unwrap().port();
        format!(
            "gateway=$(perl -ane 'print join \".\", unpack \"C4\", pack \"V\", hex $F[2] if $F[1] eq \"00000000\"' /proc/net/route)
            for address in 127.0.0.1 ::1 localhost {own} 169.254.1.53 $gateway; do
                for port in {ports}; do
                    timeout 1 bash -c \"exec 3<> /dev/tcp/$address/$port\" 2> /dev/null && echo reached $address: $port
                done
                timeout 1 bash -c \"echo x > /dev/udp/$address/{datagrams}\" 2> /dev/null
            done
            echo gateway: ${{gateway:-none}}
            echo interfaces: $(ls /sys/class/net)\n",
            own = Self::address(),
        )
    }
}

fn a_step_without_network_reaches_nothing() {
    let base = script_base("root", "none");
    let machine = Machine::new();
    let text = format!(
        "{}; echo routes: $(tail -n +2 /proc/net/route | wc -l)",
        machine.knocking(&machine.ports()).trim_end()
    );
    let facts = facts(&base, "no-network", &text);
    machine.assert_untouched();
    assert_eq!(reached(&facts), Vec::<&String>::new());
    assert_eq!(
        (facts["interfaces"].as_str(), facts["routes"].as_str(), facts["gateway"].as_str()),
        ("lo", "0", "none")
    );
}

fn reached(facts: &BTreeMap<String, String>) -> Vec<&String> {
    facts.keys().filter(|name| name.starts_with("reached")).collect()
}

fn neighbour() {
    crate::support::base("debian");
    prepare(server("echo neighbour").path(), "debian", "egress-neighbour").ok();
}

fn a_step_with_egress_reaches_nothing_of_this_machine() {
    let base = script_base("root", "egress");
    let machine = Machine::new();
    // Another instance: it answers us, and nobody inside.
    neighbour();
    let served = Served::new(&["egress-neighbour"]);
    assert!(served.get("/").contains("neighbour"));
    let ports = format!("{} {} 8080", machine.ports(), served.answer["port"]);
    let facts = facts(&base, "egress-knocks", &machine.knocking(&ports));
    machine.assert_untouched();
    // What else answers is not this machine.
    for address in ["127.0.0.1", "::1", "localhost", &Machine::address()] {
        assert_eq!(facts.get(&format!("reached {address}")), None);
    }
    // It has a network, or this would tell nothing.
    assert!(facts["interfaces"].split(' ').count() == 2 && facts["gateway"] != "none", "{facts:?}");
}

fn what_a_step_listens_at_is_not_reached_from_outside() {
    let base = script_base("root", "egress");
    let text = "perl -MIO::Socket::INET -e '
        my $server = IO::Socket::INET->new(LocalAddr => \"0.0.0.0\", LocalPort => 0, Listen => 1) or die;
        open my $out, \">\", \"listens\"; print $out $server->sockport; close $out; rename \"listens\", \"port\";
        alarm 3; $SIG{ALRM} = sub { exit 0 }; $server->accept and print \"reached\\n\"'";
    let folder = source(&[("build.sh", text)]);
    let arguments = ["build", folder.path().to_str().unwrap(), "--base", &base, "--name", "listens", "--afresh"];
    let mut child = command(&shared_data(), &arguments).spawn().unwrap();
    let port = loop {
        let folders = std::fs::read_dir(shared_data().join("instances")).into_iter().flatten().flatten();
        let ports = folders.filter_map(|entry| std::fs::read_to_string(entry.path().join("upper/app/port")).ok());
        if let Some(port) = ports.filter_map(|text| text.parse::<u16>().ok()).next() {
            break port;
        }
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::yield_now();
    };
    for address in ["127.0.0.1".to_owned(), Machine::address()] {
        assert!(std::net::TcpStream::connect((address.as_str(), port)).is_err(), "{address}:{port}");
    }
    assert!(child.wait().unwrap().success());
}

fn files_of_the_machine_are_not_there() {
    let base = script_base("root", "none");
    let secret = unique(31);
    let canary = tempfile::Builder::new().prefix("canary").tempdir().unwrap();
    std::fs::write(canary.path().join("secret"), &secret).unwrap();
    let data = shared_data();
    let text = format!(
        "for f in '{canary}' '{data}' /run/till /proc/1/root{canary} /proc/1/cwd/..{canary} /root/.cargo /work; do
            [ ! -e \"$f\" ] || echo $f
        done
        ls -A /tmp /var/tmp /run | grep -v -E '^$|:$|^lock$|^build.sh$'
        for fd in /proc/self/fd/*; do case $(readlink $fd) in /dev/null|pipe:*|/proc/*|'') ;; *) readlink $fd;; esac; done
        true",
        canary = canary.path().display(),
        data = data.display(),
    );
    nothing_wrong(&base, "canary", &text);
}

fn links_that_a_build_makes_lead_nowhere_but_inside() {
    let base = script_base("root", "none");
    let canary = tempfile::tempdir().unwrap();
    std::fs::write(canary.path().join("kept"), "kept").unwrap();
    // What is cleared before the snapshot, and what lies above mount points, are links to the machine's directory.
    let text = format!(
        "rm -rf /tmp /var/tmp; ln -s {0} /tmp; ln -s {0} /var/tmp; ln -s {0} outside; ln -s / up; ln -s ../../../..{0} deep; rm -rf /etc/hosts; true",
        canary.path().display()
    );
    script(&base, "links", &text).ok();
    assert_eq!(std::fs::read_to_string(canary.path().join("kept")).unwrap(), "kept");
    assert_eq!(std::fs::read_dir(canary.path()).unwrap().count(), 1);
    assert!(listing("links").iter().any(|line| line.contains("app/outside -> ")));
}

/// The line of a listing that ends so.
#[track_caller]
fn line<'a>(lines: &'a [String], end: &str) -> Vec<&'a str> {
    let found = lines.iter().find(|line| line.ends_with(end));
    found.unwrap_or_else(|| panic!("no {end} in {lines:#?}")).split_whitespace().collect()
}

fn owners_and_modes_in_the_artifact_are_those_inside() {
    let base = script_base("root", "none");
    let text = "echo x > of-root; echo x > of-app; chown 1000:1000 of-app; echo x > mixed; chown 33:4 mixed
        echo x > last; chown 65534:65535 last; echo x > setuid; chmod 4755 setuid; echo x > setgid; chmod 2750 setgid
        mkdir sticky; chmod 1777 sticky; mkdir closed; chmod 0 closed; echo x > closed/file; chmod 0 closed/file
        ln of-app hard; ln -s of-app soft; chown -h 1000:1000 soft; mkfifo pipe";
    script(&base, "owners", text).ok();
    let lines = listing("owners");
    for (end, mode, owner) in [
        (" app/of-root", "-rw-r--r--", "0/0"),
        ("app/mixed", "-rw-r--r--", "33/4"),
        ("app/last", "-rw-r--r--", "65534/65535"),
        ("app/setuid", "-rwsr-xr-x", "0/0"),
        ("app/setgid", "-rwxr-s---", "0/0"),
        ("app/sticky/", "drwxrwxrwt", "0/0"),
        ("app/closed/", "d---------", "0/0"),
        ("app/closed/file", "----------", "0/0"),
        ("app/soft -> of-app", "lrwxrwxrwx", "1000/1000"),
        ("app/pipe", "prw-r--r--", "0/0"),
    ] {
        let words = line(&lines, end);
        assert_eq!((words[0], words[1]), (mode, owner), "{end}");
    }
    // One of the two names is the file, the other a link to it.
    let (app, hard) = ("app/of-app", "app/hard");
    let first = lines.iter().find(|line| line.contains("link to")).unwrap();
    assert!(
        first.starts_with("hrw") && first.contains("1000/1000") && first.contains(hard) && first.contains(app),
        "{first}"
    );
}

fn attributes_are_kept_and_sockets_are_not() {
    let base = script_base("root", "none");
    let text = "touch marked; perl -e 'my ($f, $n, $v) = (\"marked\", \"user.till\", \"canary-value\");
            syscall(188, $f, $n, $v, length $v, 0) == 0 or die $!'
        perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"socket\", Listen => 1) or die $!'
        [ -S socket ]";
    script(&base, "xattr", text).ok();
    let folder = tempfile::tempdir().unwrap();
    let layer = last_layer("xattr", folder.path());
    let names = tar(&layer, &["--xattrs", "--xattrs-include=*", "-tvv"]);
    assert!(names.contains("user.till") && !names.contains("socket"), "{names}");
}

fn capabilities_of_files_are_those_inside() {
    let base = script_base("root", "none");
    // VFS_CAP_REVISION_2 with cap_net_bind_service permitted and effective (capability.h).
    let text = "touch server; perl -e '($f, $n) = (\"server\", \"security.capability\");
            $v = pack \"V5\", 0x02000001, 1 << 10, 0, 0, 0;
            syscall(188, $f, $n, $v, length $v, 0) == 0 or die $!'";
    script(&base, "file-capabilities", text).ok();
    let folder = tempfile::tempdir().unwrap();
    let layer = last_layer("file-capabilities", folder.path());
    let raw = std::process::Command::new("gzip").arg("-dc").arg(&layer).output().unwrap().stdout;
    let mut record = b"SCHILY.xattr.security.capability=".to_vec();
    record.extend([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'\n']);
    assert!(raw.windows(record.len()).any(|window| window == record));
}

fn what_a_build_removes_of_its_base_is_removed_in_the_artifact() {
    let base = script_base("root", "none");
    let text = "rm /etc/issue; rm -r /usr/share/zoneinfo; rm -r /etc/skel; mkdir /etc/skel; touch /etc/skel/new
        echo changed >> /etc/motd; mv /etc/profile.d /etc/profile.e";
    script(&base, "whiteouts", text).ok();
    let lines = listing("whiteouts");
    for end in [
        " etc/.wh.issue",
        " usr/share/.wh.zoneinfo",
        " etc/skel/.wh..wh..opq",
        " etc/skel/new",
        " etc/motd",
        " etc/.wh.profile.d",
        " etc/profile.e/",
    ] {
        line(&lines, end);
    }
    assert!(!lines.iter().any(|line| line.contains("zoneinfo/") || line.ends_with("etc/passwd")), "{lines:#?}");
}

fn caches_and_volatile_places_are_never_in_the_artifact() {
    let contract = "user = \"app\"\n[contract.source]\nas = \"dir\"\nat = \"/app\"\n\
         [[contract.cache]]\nname = \"kept\"\npath = \"/home/app/.cache/deep/kept\"\n\
         [[contract.cache]]\nname = \"below\"\npath = \"/app/node_modules/.cache\"\n\
         [[contract.step]]\nname = \"write\"\nrun = \"bash build.sh\"\n\
         [[contract.process]]\nname = \"web\"\nrun = \"sleep infinity\"\n";
    small_base("with-caches", contract);
    let text = "for d in /tmp /var/tmp /dev/shm /home/app/.cache/deep/kept node_modules/.cache; do echo volatile >> $d/volatile; done
        echo before: $(wc -l < ~/.cache/deep/kept/volatile) tmp: $(wc -l < /tmp/volatile); touch own";
    let folder = source(&[("build.sh", text)]);
    let _ = std::fs::remove_dir_all(shared_data().join("caches/caches"));
    for number in 1..=2 {
        let called = prepare(folder.path(), "with-caches", "caches").ok();
        assert_eq!(called.said(), [format!("before: {number} tmp: 1")]);
        let lines = listing("caches");
        line(&lines, "app/own");
        let bad: Vec<_> = lines.iter().filter(|line| line.contains("volatile") || line.contains("deep")).collect();
        assert_eq!(bad, Vec::<&String>::new());
    }
}

/// All that a layout says of its image, as text.
fn documents(layout: &std::path::Path) -> String {
    let blobs = std::fs::read_dir(layout.join("blobs/sha256")).unwrap().flatten().map(|entry| entry.path());
    let small = |path: &PathBuf| path.metadata().unwrap().len() < 1 << 20;
    let texts = blobs.filter(small).filter_map(|path| std::fs::read_to_string(path).ok());
    texts.filter(|text| text.starts_with('{')).collect()
}

fn what_the_machine_lends_is_not_in_the_artifact() {
    let base = script_base("root", "egress");
    let text = "echo resolver: $(wc -l < /etc/resolv.conf); echo proxy: $https_proxy; echo index: $PIP_INDEX_URL
        echo secret: $SECRET_CANARY; echo trust: ${PIP_CERT-none}; env > /tmp/env; touch own
        [ -s \"$PIP_CERT\" ] || echo 'no certificates'
        for f in $(cut -d' ' -f5 /proc/self/mountinfo | grep -E '^/(etc|run)/'); do
            [ -s $f ] && ( echo x >> $f ) 2> /dev/null && echo written: $f
        done; true";
    let folder = source(&[("build.sh", text)]);
    let path = folder.path().to_str().unwrap();
    let arguments = ["build", path, "--base", &base, "--name", "lent", "--afresh", "--json"];
    let mut build = command(&shared_data(), &arguments);
    build.env("https_proxy", "http://user:canary@127.0.0.1:1").env("PIP_INDEX_URL", "https://canary.example/simple");
    build.env("SECRET_CANARY", "canary").env("PIP_CERT", "/canary.crt");
    let output = build.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("proxy: http://user:canary@127.0.0.1:1") && said.contains("index: https://canary"), "{said}");
    assert!(said.contains("secret:\n") && !said.contains("written:") && !said.contains("canary.crt"), "{said}");
    let scratch = tempfile::tempdir().unwrap();
    last_layer("lent", scratch.path());
    let documents = documents(&scratch.path().join("layout"));
    for word in ["canary", "PIP_CERT", "-certificates", "_proxy", "SOURCE_DATE_EPOCH"] {
        assert!(!documents.contains(word), "{word}: {documents}");
    }
    let lines = listing("lent");
    line(&lines, "app/own");
    assert!(!lines.iter().any(|line| line.contains(" etc/") && !line.ends_with(" etc/")), "{lines:#?}");
}

fn variables_of_the_machine_do_not_reach_a_step_without_network() {
    let base = script_base("app", "none");
    let folder = source(&[("build.sh", "env | cut -d= -f1 | sort | tr '\\n' ' '; echo")]);
    let path = folder.path().to_str().unwrap();
    let arguments = ["build", path, "--base", &base, "--name", "variables", "--afresh"];
    let mut build = command(&shared_data(), &arguments);
    build.env("https_proxy", "http://canary").env("SECRET_CANARY", "canary").env("LD_PRELOAD_CANARY", "x");
    let output = build.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let words: Vec<_> = said.lines().find_map(|line| line.strip_prefix("    ")).unwrap().split_whitespace().collect();
    assert_eq!(words, ["HOME", "PATH", "PWD", "SHLVL", "SOURCE_DATE_EPOCH", "_"], "{said}");
}

/// A base whose one step runs in that directory, as that user.
fn step_in(name: &str, user: &str, dir: &str) -> String {
    let contract = format!(
        "user = \"{user}\"\n[contract.source]\nas = \"dir\"\nat = \"/app\"\n\
         [[contract.step]]\nname = \"look\"\ndir = \"{dir}\"\nrun = \"echo here: $(pwd); echo open: $(echo /proc/self/fd/*)\"\n\
         [[contract.process]]\nname = \"web\"\nrun = \"sleep infinity\"\n"
    );
    small_base(name, &contract);
    name.to_owned()
}

fn what_the_caller_has_open_is_not_there() {
    let source = source(&[("a", "")]);
    let build = |base: &str| {
        let words = ["build", source.path().to_str().unwrap(), "--base", base, "--name", base, "--afresh", "--json"];
        let till = command(&shared_data(), &words);
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", "exec 9</etc; exec \"$@\"", "bash"]).arg(till.get_program()).args(till.get_args());
        shell.envs(till.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.output().unwrap()
    };
    let output = build(&step_in("open-files", "root", "/"));
    let said = String::from_utf8_lossy(&output.stderr);
    // The shell has opened the fourth itself.
    assert!(said.contains("open: /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"), "{said}");
    assert!(!said.contains("fd/9"), "{said}");
    let output = build(&step_in("open-dir", "root", "/proc/self/fd/9"));
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn a_user_works_where_he_may_not_go_by_himself() {
    let base = step_in("closed-dir", "app", "/root");
    let called = prepare(source(&[("a", "")]).path(), &base, &base).ok();
    assert!(called.said().contains(&"here: /root"), "{:?}", called.said());
}

on_each_runtime! {
    root_inside_is_nobody_outside,
    a_user_that_is_not_root_has_no_capability_and_gets_none,
    the_machines_processes_are_not_seen,
    what_only_the_machines_root_may_is_refused,
    system_calls_that_open_the_kernel_are_closed,
    what_would_show_of_the_machine_is_masked_and_its_settings_cannot_be_changed,
    a_step_without_network_reaches_nothing,
    a_step_with_egress_reaches_nothing_of_this_machine,
    what_a_step_listens_at_is_not_reached_from_outside,
    files_of_the_machine_are_not_there,
    links_that_a_build_makes_lead_nowhere_but_inside,
    owners_and_modes_in_the_artifact_are_those_inside,
    attributes_are_kept_and_sockets_are_not,
    capabilities_of_files_are_those_inside,
    what_a_build_removes_of_its_base_is_removed_in_the_artifact,
    caches_and_volatile_places_are_never_in_the_artifact,
    what_the_machine_lends_is_not_in_the_artifact,
    variables_of_the_machine_do_not_reach_a_step_without_network,
    what_the_caller_has_open_is_not_there,
    a_user_works_where_he_may_not_go_by_himself,
}

// What else is above is about what containers share with this machine, and machines do not.
in_machines! {
    a_step_without_network_reaches_nothing,
    a_step_with_egress_reaches_nothing_of_this_machine,
    what_a_step_listens_at_is_not_reached_from_outside,
    files_of_the_machine_are_not_there,
    links_that_a_build_makes_lead_nowhere_but_inside,
    owners_and_modes_in_the_artifact_are_those_inside,
    attributes_are_kept_and_sockets_are_not,
    capabilities_of_files_are_those_inside,
    what_a_build_removes_of_its_base_is_removed_in_the_artifact,
    caches_and_volatile_places_are_never_in_the_artifact,
    what_the_machine_lends_is_not_in_the_artifact,
    variables_of_the_machine_do_not_reach_a_step_without_network,
    a_user_works_where_he_may_not_go_by_himself,
}
