import { systemdWord } from "./units.ts";

export const SERVICE_UNIT = { name: "ikebana.service", wantedBy: "multi-user.target" } as const;

/** Whom the daemon runs as. */
export const SERVICE_USER = "ikebana";

export interface ServiceFacts {
  /** Absolute paths: of the runtime, of our program, of the configuration. */
  readonly node: string;
  readonly program: string;
  readonly config: string;
}

/**
 * The daemon as a service of systemd: an own user with what the network needs, and hardly a door to anything else. CAP_NET_BIND_SERVICE
 * and CAP_NET_RAW are given up once the sockets are open (`src/engine/shed-privileges.ts`). What is left open has its reason:
 *
 *   MemoryDenyWriteExecute  the runtime compiles at run time
 *   ProtectKernelTunables   a gateway switches forwarding on, below /proc/sys/net
 *   PrivateDevices          /dev/net/tun is a device of the machine
 *   PrivateUsers            rights over the machine's network are those of its own user namespace
 *   PrivateNetwork, IPAddressDeny    it is a VPN
 */
export function serviceUnit({ node, program, config }: ServiceFacts): string {
  const isAtHome = [node, program, config].some((path) => /^\/(home|root|run\/user)\//.test(path));
  const command = [node, program, "up", "-c", config].map(systemdWord).join(" ");
  return `# Written by "ikebana setup --systemd".
[Unit]
Description=Ikebana, an IKEv2/IPsec VPN in user space
Wants=network-online.target
After=network-online.target nss-lookup.target

[Service]
Type=notify
NotifyAccess=main
WatchdogSec=30
ExecStart=${command}
ExecReload=/bin/kill -HUP $MAINPID
TimeoutStopSec=20
Restart=on-failure
RestartSec=2
User=${SERVICE_USER}
Group=${SERVICE_USER}
RuntimeDirectory=ikebana
StateDirectory=ikebana
StateDirectoryMode=0700
UMask=0077
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_RAW
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_RAW
NoNewPrivileges=yes
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
LockPersonality=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=${isAtHome ? "read-only" : "yes"}
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged

[Install]
WantedBy=${SERVICE_UNIT.wantedBy}
`;
}
