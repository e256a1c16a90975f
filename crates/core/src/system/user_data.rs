//! The drive that a system finds when it starts, as OpenStack's config drive: what cloudbase-init reads, and what we hand it.
//!
//! Source: cloudbase-init's documentation ("Services: OpenStack (config drive)", "Userdata"). The volume is called `config-2`. The
//! first line of the user data says what it is; exit codes 1001 to 1003 of a script have the system restarted.

use std::collections::BTreeMap;

use serde_json::json;

use super::spec::{StartedBy, SystemSpec, UserData};

/// Files of the drive that are texts, by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// With `/` between their parts.
    pub files: BTreeMap<String, String>,
}

/// What the volume is called.
pub const LABEL: &str = "config-2";

/// A batch file that starts what the drive brings, wherever it hangs.
const CMD: &str = r#"rem cmd
@echo off
setlocal EnableExtensions
set "TILL="
for %%d in (D E F G H I J K L M N O P Q R S T U V W X Y Z A B) do if exist "%%d:\till\till.exe" set "TILL=%%d:\till"
if not defined TILL exit /b 2
"%TILL%\till.exe" prepare "%TILL%\job"
exit /b %ERRORLEVEL%
"#;

/// The same for PowerShell.
const POWERSHELL: &str = r"#ps1_sysnative
$ErrorActionPreference = 'Stop'
$drives = [System.IO.DriveInfo]::GetDrives() | Where-Object { $_.IsReady }
$till = $drives | ForEach-Object { Join-Path $_.RootDirectory.FullName 'till' }
$till = $till | Where-Object { Test-Path (Join-Path $_ 'till.exe') } | Select-Object -First 1
if (-not $till) { exit 2 }
& (Join-Path $till 'till.exe') 'prepare' (Join-Path $till 'job')
exit $LASTEXITCODE
";

/// What `SetupComplete.cmd` calls: it has to restart the system itself where that is asked for.
const START: &str = r#"@echo off
call "%~dp0run.cmd"
if "%ERRORLEVEL%"=="1003" shutdown.exe /r /t 0
exit /b %ERRORLEVEL%
"#;

/// Parts of MIME are parted by it; it stands in none of them.
const BOUNDARY: &str = "till-part-6d1f0f2e";

/// The texts of a drive that hands a job to a system. `instance` names this start of it: what runs once for each name runs now.
pub fn drive(spec: &SystemSpec, job: &str, instance: &str, hostname: &str) -> Drive {
    let mut files = about(instance, hostname);
    let cmd = windows(CMD);
    match spec.started_by {
        StartedBy::CloudbaseInit => {
            let text = match spec.user_data {
                UserData::Cmd => cmd.clone(),
                UserData::Powershell => windows(POWERSHELL),
                UserData::Multipart => multipart(&cmd),
            };
            files.insert("openstack/latest/user_data".to_owned(), text);
        }
        StartedBy::SetupComplete => {
            files.insert("till/start.cmd".to_owned(), windows(START));
        }
    }
    files.insert("till/run.cmd".to_owned(), cmd);
    files.insert("till/job".to_owned(), job.to_owned());
    Drive { files }
}

/// The texts of a drive that hands nothing.
pub fn about(instance: &str, hostname: &str) -> BTreeMap<String, String> {
    let meta = json!({ "uuid": instance, "name": hostname, "hostname": hostname });
    BTreeMap::from([("openstack/latest/meta_data.json".to_owned(), format!("{meta}\n"))])
}

/// Lines as Windows ends them.
fn windows(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// A script as the only part of a MIME message (RFC 2046).
fn multipart(script: &str) -> String {
    let head = format!("Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\nMIME-Version: 1.0\n\n--{BOUNDARY}\n");
    let part = "Content-Type: text/x-shellscript; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n\
                Content-Disposition: attachment; filename=\"till.cmd\"\n\n";
    format!("{}{script}{}", windows(&(head + part)), windows(&format!("\n--{BOUNDARY}--\n")))
}
