import { SERVICE_UNIT } from "../setup/service-unit.ts";
import { systemdWord } from "../setup/units.ts";

/** Below the folder of units. */
export const BOOT_UNIT = { name: "ikebana-killswitch.service", wantedBy: "sysinit.target" } as const;

/**
 * A unit that loads the rules before any link comes up, long before the daemon. It takes nothing back when it stops. Debian's nftables.service
 * begins by flushing every table, so that ours comes behind it, also when that one is reloaded or restarted.
 */
export function bootUnit({ nft, rules }: { readonly nft: string; readonly rules: string }): string {
  const load = `${systemdWord(nft)} -f ${systemdWord(rules)}`;
  return [
    '# Written by "ikebana killswitch on", removed by "ikebana killswitch off".',
    "[Unit]",
    "Description=Kill switch of Ikebana: nothing leaves but through the tunnel",
    "DefaultDependencies=no",
    `RequiresMountsFor=${systemdWord(rules)}`,
    "Wants=network-pre.target",
    `Before=network-pre.target ${SERVICE_UNIT.name} shutdown.target`,
    "After=nftables.service",
    "PartOf=nftables.service",
    "ReloadPropagatedFrom=nftables.service",
    "Conflicts=shutdown.target",
    "",
    "[Service]",
    "Type=oneshot",
    "RemainAfterExit=yes",
    `ExecStart=${load}`,
    `ExecReload=${load}`,
    "CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_READ_SEARCH",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "StandardInput=null",
    "",
    "[Install]",
    `WantedBy=${BOOT_UNIT.wantedBy}`,
    "",
  ].join("\n");
}
