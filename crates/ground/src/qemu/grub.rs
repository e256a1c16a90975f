//! The boot loader: GRUB, for a BIOS and for UEFI, with the modules that it needs inside.

use std::path::{Path, PathBuf};

use till_core::Failure;
use till_image::{BootSector, ESP_BYTES, ESP_OFFSET};

use super::io;
use crate::process;

/// Where Debian's packages put GRUB's modules.
const GRUB: &str = "/usr/lib/grub";
const MODULES: [&str; 9] =
    ["part_gpt", "ext2", "normal", "linux", "configfile", "search", "search_fs_uuid", "echo", "serial"];

/// What GRUB does first: it looks for the root file system, and reads its own configuration there.
fn first(root: &str) -> String {
    format!(
        "search --no-floppy --fs-uuid --set=root {root}\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n"
    )
}

/// `grub.cfg`: one kernel, named.
pub(super) fn configuration(kernel: &str, root: &str, init: &str) -> String {
    format!(
        "serial --unit=0 --speed=115200\nterminal_input console serial\nterminal_output console serial\nset timeout=0\n\
         menuentry \"{kernel}\" {{\n  search --no-floppy --fs-uuid --set=root {root}\n  \
         linux /boot/vmlinuz-{kernel} till.root={root} till.init={init} rw console=tty0 console=ttyS0,115200 net.ifnames=0 quiet panic=30\n  \
         initrd /boot/till-{kernel}.img\n}}\n"
    )
}

async fn image(work: &Path, root: &str, format: &str, more: &[&str]) -> Result<PathBuf, Failure> {
    let script = work.join("first.cfg");
    std::fs::write(&script, first(root)).map_err(io("write", &script))?;
    let into = work.join(format!("grub-{format}"));
    let mut command = process::command("grub-mkimage");
    command.args(["-O", format, "-p", "/boot/grub", "-c"]).arg(&script).arg("-o").arg(&into).args(MODULES).args(more);
    process::output(command).await?;
    Ok(into)
}

/// For a BIOS.
pub(super) async fn bios(work: &Path, root: &str) -> Result<BootSector, Failure> {
    let core = image(work, root, "i386-pc", &["biosdisk"]).await?;
    let boot = Path::new(GRUB).join("i386-pc/boot.img");
    let read = |path: &Path| std::fs::read(path).map_err(io("read", path));
    Ok(BootSector { boot: read(&boot)?, core: read(&core)? })
}

/// For UEFI: its system partition, in the disk.
pub(super) async fn uefi(work: &Path, root: &str, disk: &Path, serial: u32, epoch: u32) -> Result<(), Failure> {
    let program = image(work, root, "x86_64-efi", &["fat", "all_video"]).await?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(epoch));
    let file = std::fs::File::options().write(true).open(&program).map_err(io("open", &program))?;
    file.set_modified(time).map_err(io("set the time of", &program))?;
    let partition = work.join("esp");
    let esp = std::fs::File::create(&partition).map_err(io("make", &partition))?;
    esp.set_len(ESP_BYTES).map_err(io("make", &partition))?;
    drop(esp);
    let run = |tool: &str| {
        let mut command = process::command(tool);
        command.env("SOURCE_DATE_EPOCH", epoch.to_string()).env("TZ", "UTC").env("MTOOLS_SKIP_CHECK", "1");
        command
    };
    let mut make = run("mkfs.vfat");
    make.args(["--invariant", "-F", "16", "-s", "4", "-n", "ESP", "-i", &format!("{serial:08x}")]).arg(&partition);
    process::output(make).await?;
    let mut folders = run("mmd");
    folders.arg("-i").arg(&partition).args(["::/EFI", "::/EFI/BOOT"]);
    process::output(folders).await?;
    let mut copy = run("mcopy");
    copy.args(["-m", "-i"]).arg(&partition).arg(&program).arg("::/EFI/BOOT/BOOTX64.EFI");
    process::output(copy).await?;
    put(&partition, disk).map_err(|error| io("write", disk)(error).into())
}

/// Copies what is not zero.
fn put(partition: &Path, disk: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let bytes = std::fs::read(partition)?;
    let disk = std::fs::File::options().write(true).open(disk)?;
    for (number, block) in bytes.chunks(4096).enumerate().filter(|(_, block)| block.iter().any(|byte| *byte != 0)) {
        disk.write_all_at(block, ESP_OFFSET + 4096 * number as u64)?;
    }
    Ok(())
}
