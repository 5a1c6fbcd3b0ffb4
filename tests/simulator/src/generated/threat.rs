//! What is found on the simulated hosts. Invented, and harmless to quote.

#[derive(Clone, Copy, Default)]
pub(crate) struct Threat {
    pub(crate) indicator: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) body: &'static str,
    pub(crate) action: &'static str,
    pub(crate) parameter: &'static str,
    pub(crate) value: &'static str,
}

pub(crate) struct Threats {
    pub(crate) on_hosts: &'static [Threat],
    pub(crate) on_identities: &'static [Threat],
}

pub(crate) const THREATS: Threats = Threats {
    on_hosts: &[
        Threat {
            indicator: "footholds",
            summary: "A scheduled task that starts a hidden script at sign-in was found on this host.",
            body: "The task runs a script from a folder that any user may write to.",
            action: "Delete Scheduled Task",
            parameter: "task",
            value: "\\Example\\SyncHelper",
        },
        Threat {
            indicator: "process_detections",
            summary: "An office program started a command shell that fetched a file from an unknown host.",
            body: "The process tree begins with a document that came by e-mail.",
            action: "Kill Process",
            parameter: "path",
            value: "c:\\users\\public\\invoice-viewer.exe",
        },
        Threat {
            indicator: "antivirus_detections",
            summary: "Antivirus found a known credential thief and could not remove it.",
            body: "The file was unpacked by a browser and has not been started since.",
            action: "Delete File",
            parameter: "path",
            value: "c:\\programdata\\example\\stealer.bin",
        },
        Threat {
            indicator: "ransomware_canaries",
            summary: "Canary files on this host were changed within one minute. The host was isolated.",
            body: "A single process rewrote all of them. No backup was touched.",
            action: "Isolate Host",
            parameter: "host",
            value: "the affected host",
        },
        Threat {
            indicator: "behavioral_detections",
            summary: "A remote access tool that the organization does not use was installed as a service.",
            body: "The installer was signed, and was started from a download folder.",
            action: "Delete Service",
            parameter: "service",
            value: "ExampleRemoteHelper",
        },
        Threat {
            indicator: "mde_detections",
            summary: "An attempt to read the memory of the security subsystem was stopped on this host.",
            body: "The account involved is a local administrator that is shared by several people.",
            action: "Reset Password",
            parameter: "account",
            value: "local-admin",
        },
    ],
    on_identities: &[
        Threat {
            indicator: "managed_identity",
            summary: "A sign-in from an unusual network was followed by a new forwarding rule in the mailbox.",
            body: "The session was ended and the rule was removed.",
            action: "Revoke Sessions",
            parameter: "identity",
            value: "robin@msp.example",
        },
        Threat {
            indicator: "siem_detections",
            summary: "Many failed sign-ins were followed by one that succeeded without a second factor.",
            body: "The sign-ins came from 40 addresses within ten minutes.",
            action: "Disable Identity",
            parameter: "identity",
            value: "robin@msp.example",
        },
    ],
};
