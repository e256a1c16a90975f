//! System calls that an instance may make, as a program for the kernel's filter (seccomp(2), filter mode).
//!
//! Made from `linux.seccomp` of the bundle's config.json. The native architecture and its 32-bit one are told apart, for
//! their numbers differ; any other is killed. Calls of the x32 kind fail, as on kernels that do not know them.

use serde::Deserialize;
use syscalls::{aarch64, x86, x86_64};

/// `linux.seccomp`, as far as our bundles use it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Seccomp {
    default_action: String,
    default_errno_ret: u32,
    architectures: Vec<String>,
    syscalls: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    names: Vec<String>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Vec<Condition>,
}

/// One argument of a call, compared.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    index: u32,
    value: u64,
    value_two: u64,
    op: String,
}

/// One instruction (`struct sock_filter`, linux/filter.h).
pub(super) type Instruction = libc::sock_filter;

/// Of the answer when an action names no error: what the runtime spec says.
const EPERM: u32 = 1;

/// Numbers from here on are of the x32 kind.
const X32: u32 = 0x4000_0000;

/// `struct seccomp_data`: where the call's number, its architecture and its arguments are.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// linux/audit.h.
const AUDIT_X86_64: u32 = 0xc000_003e;
const AUDIT_I386: u32 = 0x4000_0003;
const AUDIT_AARCH64: u32 = 0xc000_00b7;

/// linux/seccomp.h.
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL: u32 = 0x8000_0000;

/// linux/bpf_common.h: load a word from there, load one and mask it, jump if equal or larger, jump, answer.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const ANSWER: u16 = 0x06;

/// How a call's number is found by its name.
type Numbers = fn(&str) -> Option<u32>;

/// The program, or what it cannot express.
pub(super) fn compile(seccomp: &Seccomp) -> Result<Vec<Instruction>, String> {
    let mut program = vec![plain(LOAD, ARCHITECTURE)];
    for architecture in &seccomp.architectures {
        let (audit, numbers): (u32, Numbers) = match architecture.as_str() {
            "SCMP_ARCH_X86_64" => (AUDIT_X86_64, of_x86_64),
            "SCMP_ARCH_X86" => (AUDIT_I386, of_x86),
            "SCMP_ARCH_AARCH64" => (AUDIT_AARCH64, of_aarch64),
            // 32-bit ARM is killed, as what is not known is; x32 has the number of x86-64, and fails below.
            "SCMP_ARCH_ARM" | "SCMP_ARCH_X32" => continue,
            other => return Err(format!("the architecture {other} is not known to the built-in runtime")),
        };
        let section = section(seccomp, numbers, audit)?;
        // A jump that is conditional is short: the section is jumped over by one that is not.
        program.push(jump(IF_EQUAL, audit, 1, 0));
        program.push(plain(0x05, length(&section)?));
        program.extend(section);
    }
    program.push(plain(ANSWER, KILL));
    Ok(program)
}

/// What becomes of the calls of one architecture.
fn section(seccomp: &Seccomp, numbers: Numbers, audit: u32) -> Result<Vec<Instruction>, String> {
    let otherwise = answer(&seccomp.default_action, Some(seccomp.default_errno_ret))?;
    let mut program = vec![plain(LOAD, NUMBER)];
    if audit == AUDIT_X86_64 {
        program.extend([jump(IF_AT_LEAST, X32, 0, 1), plain(ANSWER, otherwise)]);
    }
    let names = seccomp.syscalls.iter().flat_map(|rule| &rule.names);
    // A call that this kernel's headers did not know is not let through: what is not named fails.
    let mut calls: Vec<(u32, &str)> = names.filter_map(|name| Some((numbers(name)?, name.as_str()))).collect();
    calls.sort_unstable();
    calls.dedup();
    for (number, name) in calls {
        let rules = seccomp.syscalls.iter().filter(|rule| rule.names.iter().any(|named| named == name));
        let block = block(rules, otherwise, audit == AUDIT_I386)?;
        let skip = u8::try_from(block.len()).map_err(|_| format!("there are too many conditions for `{name}`"))?;
        program.push(jump(IF_EQUAL, number, 0, skip));
        program.extend(block);
    }
    program.push(plain(ANSWER, otherwise));
    Ok(program)
}

/// What becomes of one call: the first rule whose conditions all hold decides.
fn block<'r>(rules: impl Iterator<Item = &'r Rule>, otherwise: u32, narrow: bool) -> Result<Vec<Instruction>, String> {
    let mut program = Vec::new();
    for rule in rules {
        let mut tests = Vec::new();
        // From the last: each has to know how far the end is.
        for condition in rule.args.iter().rev() {
            let rest = u8::try_from(tests.len()).map_err(|_| "a rule has too many conditions".to_owned())?;
            tests.splice(0..0, test(condition, rest, narrow)?);
        }
        program.extend(tests);
        program.push(plain(ANSWER, answer(&rule.action, rule.errno_ret)?));
        if rule.args.is_empty() {
            return Ok(program);
        }
    }
    program.push(plain(ANSWER, otherwise));
    Ok(program)
}

/// Goes on behind itself when the condition holds; else to the next rule, which begins after `rest` further tests and an
/// answer. An argument has two words, the lower first: all our architectures are little-endian. A 32-bit call (`narrow`) takes
/// the lower one alone, so what is in the other says nothing: who calls it from a 64-bit program may put anything there.
fn test(condition: &Condition, rest: u8, narrow: bool) -> Result<Vec<Instruction>, String> {
    let at = ARGUMENTS + 8 * condition.index;
    let halves = |value: u64| [(value & 0xffff_ffff) as u32, (value >> 32) as u32];
    let next = rest.checked_add(1).ok_or("a rule has too many conditions")?;
    let ([low, high], [wanted_low, wanted_high]) = (halves(condition.value), halves(condition.value_two));
    let load = |word: u32| plain(LOAD, at + 4 * word);
    Ok(match (condition.op.as_str(), narrow) {
        ("SCMP_CMP_EQ", true) => vec![load(0), jump(IF_EQUAL, low, 0, next)],
        ("SCMP_CMP_EQ", false) => {
            vec![load(0), jump(IF_EQUAL, low, 0, next + 2), load(1), jump(IF_EQUAL, high, 0, next)]
        }
        ("SCMP_CMP_NE", true) => vec![load(0), jump(IF_EQUAL, low, next, 0)],
        ("SCMP_CMP_NE", false) => {
            vec![load(0), jump(IF_EQUAL, low, 0, 2), load(1), jump(IF_EQUAL, high, next, 0)]
        }
        ("SCMP_CMP_MASKED_EQ", true) => {
            vec![load(0), plain(AND, low), jump(IF_EQUAL, wanted_low, 0, next)]
        }
        ("SCMP_CMP_MASKED_EQ", false) => vec![
            load(0),
            plain(AND, low),
            jump(IF_EQUAL, wanted_low, 0, next + 3),
            load(1),
            plain(AND, high),
            jump(IF_EQUAL, wanted_high, 0, next),
        ],
        (other, _) => return Err(format!("the comparison {other} is not known to the built-in runtime")),
    })
}

fn answer(action: &str, errno: Option<u32>) -> Result<u32, String> {
    match action {
        "SCMP_ACT_ALLOW" => Ok(ALLOW),
        "SCMP_ACT_ERRNO" => Ok(ERRNO | (errno.unwrap_or(EPERM) & 0xffff)),
        "SCMP_ACT_KILL_PROCESS" => Ok(KILL),
        other => Err(format!("the action {other} is not known to the built-in runtime")),
    }
}

fn of_x86_64(name: &str) -> Option<u32> {
    name.parse().ok().map(|call: x86_64::Sysno| call.id().cast_unsigned())
}

fn of_x86(name: &str) -> Option<u32> {
    name.parse().ok().map(|call: x86::Sysno| call.id().cast_unsigned())
}

fn of_aarch64(name: &str) -> Option<u32> {
    // The table has the name of the kernel's function, everybody else that of the call.
    let name = if name == "newfstatat" { "fstatat" } else { name };
    name.parse().ok().map(|call: aarch64::Sysno| call.id().cast_unsigned())
}

fn length(section: &[Instruction]) -> Result<u32, String> {
    u32::try_from(section.len()).map_err(|_| "the profile is too long".to_owned())
}

fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Does what the kernel does with a program; answers as it does.
    fn run(program: &[Instruction], audit: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let word = |at: u32| match at {
            NUMBER => number,
            ARCHITECTURE => audit,
            at => {
                let (index, high) = ((at - ARGUMENTS) / 8, (at - ARGUMENTS) % 8 == 4);
                let value = arguments[index as usize];
                if high { (value >> 32) as u32 } else { value as u32 }
            }
        };
        let (mut at, mut register) = (0_usize, 0_u32);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            match code {
                LOAD => register = word(k),
                AND => register &= k,
                IF_EQUAL => at += usize::from(if register == k { jt } else { jf }),
                IF_AT_LEAST => at += usize::from(if register >= k { jt } else { jf }),
                0x05 => at += k as usize,
                ANSWER => return k,
                other => panic!("no such instruction: {other:#x}"),
            }
        }
    }

    fn ours() -> Vec<Instruction> {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [
                { "names": ["read", "no_such_call", "socketcall"], "action": "SCMP_ACT_ALLOW" },
                { "names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 },
                { "names": ["acct"], "action": "SCMP_ACT_ERRNO" },
                { "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ" }] },
                { "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 0x1_0000_0009_u64, "valueTwo": 0, "op": "SCMP_CMP_EQ" }] },
                { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "args": [
                    { "index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_EQ" }, { "index": 2, "value": 9, "valueTwo": 0, "op": "SCMP_CMP_EQ" }] },
                { "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 2, "value": 9, "valueTwo": 0, "op": "SCMP_CMP_NE" }] },
                { "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_NE" }] },
                { "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 0x7e02_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] },
            ],
        });
        compile(&serde_json::from_value(profile).unwrap()).unwrap()
    }

    #[test]
    fn each_call_gets_the_answer_of_the_first_rule_that_fits() {
        let program = ours();
        let refused = |errno| ERRNO | errno;
        let (read, bpf, acct, personality, socket, clone) = (0, 321, 163, 135, 41, 56);
        for (number, arguments, wanted) in [
            (read, vec![], ALLOW),
            (1, vec![], refused(38)),
            (bpf, vec![], refused(1)),
            (acct, vec![], refused(1)),
            (personality, vec![8], ALLOW),
            (personality, vec![9], refused(38)),
            (personality, vec![0x1_0000_0008], refused(38)),
            (personality, vec![0x1_0000_0009], ALLOW),
            (socket, vec![16, 3, 9], refused(22)),
            (socket, vec![16, 3, 0], ALLOW),
            (socket, vec![2, 3, 9], ALLOW),
            (socket, vec![2, 1, 6], ALLOW),
            (socket, vec![16, 3, 0x1_0000_0009], ALLOW),
            (clone, vec![0x1200_0011 & !0x1000_0000 & !0x0200_0000], ALLOW),
            (clone, vec![0x1000_0011], refused(38)),
            (X32, vec![], refused(38)),
            (X32 + 41, vec![2, 1, 6], refused(38)),
        ] {
            let mut all = [0; 6];
            all[..arguments.len()].copy_from_slice(&arguments);
            assert_eq!(run(&program, AUDIT_X86_64, number, all), wanted, "{number} {arguments:?}");
        }
    }

    #[test]
    fn of_an_argument_a_32_bit_call_takes_the_lower_half_alone() {
        let program = ours();
        const GARBAGE: u64 = 0xffff_ffff_0000_0000;
        let (personality, socket, clone) = (136, 359, 120);
        for (number, arguments, wanted) in [
            (personality, [8, 0, 0], ALLOW),
            (personality, [7, 0, 0], ERRNO | 38),
            (socket, [16, 3, 9], ERRNO | 22),
            (socket, [16, 3, 1], ALLOW),
            (clone, [0x11, 0, 0], ALLOW),
            (clone, [0x1000_0011, 0, 0], ERRNO | 38),
        ] {
            for above in [0, GARBAGE] {
                let [a, b, c] = arguments.map(|argument| argument | above);
                assert_eq!(run(&program, AUDIT_I386, number, [a, b, c, 0, 0, 0]), wanted, "{number} {a:#x}");
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_callers_architecture() {
        let program = ours();
        // 3 is read on i386 and close on x86-64; 102 is socketcall, which only i386 has, and getuid.
        for (audit, number, wanted) in [
            (AUDIT_I386, 3, ALLOW),
            (AUDIT_X86_64, 3, ERRNO | 38),
            (AUDIT_I386, 102, ALLOW),
            (AUDIT_X86_64, 102, ERRNO | 38),
            (AUDIT_AARCH64, 63, KILL),
        ] {
            assert_eq!(run(&program, audit, number, [0; 6]), wanted, "{audit:#x} {number}");
        }
    }

    #[test]
    fn what_no_program_can_do_without_has_a_number_everywhere() {
        let calls =
            ["read", "write", "close", "execve", "exit_group", "openat", "mmap", "brk", "clone3", "futex", "statx"];
        for name in calls {
            for numbers in [of_x86_64 as Numbers, of_x86, of_aarch64] {
                assert!(numbers(name).is_some() || name == "mmap", "{name}");
            }
        }
        assert_eq!([of_x86_64("newfstatat"), of_aarch64("newfstatat")], [Some(262), Some(79)]);
        assert_eq!([of_x86("fstatat64"), of_x86("mmap2")], [Some(300), Some(192)]);
    }

    #[test]
    fn what_cannot_be_expressed_is_refused() {
        let with = |key: &str, value: serde_json::Value| {
            let mut profile = json!({
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [] }],
            });
            *profile.pointer_mut(key).unwrap() = value;
            compile(&serde_json::from_value(profile).unwrap()).map(drop)
        };
        with("/defaultErrnoRet", json!(1)).unwrap();
        for (key, value, why) in [
            ("/architectures/0", json!("SCMP_ARCH_S390X"), "the architecture SCMP_ARCH_S390X"),
            ("/syscalls/0/action", json!("SCMP_ACT_NOTIFY"), "the action SCMP_ACT_NOTIFY"),
            ("/defaultAction", json!("SCMP_ACT_LOG"), "the action SCMP_ACT_LOG"),
            (
                "/syscalls/0/args",
                json!([{ "index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_GE" }]),
                "the comparison SCMP_CMP_GE",
            ),
        ] {
            let said = with(key, value).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
