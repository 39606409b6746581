import { existsSync } from "node:fs";
import { join } from "node:path";
import { SOCKET_MARK } from "../engine/detours.ts";
import {
  killSwitchText,
  killSwitchTrialText,
  loadKillSwitch,
  readKillSwitch,
  unloadKillSwitch,
} from "../platform/firewall/kill-switch.ts";
import { writeWhole } from "../setup/files.ts";
import { installUnit, isEnabled, removeFile, removeUnit, tellSystemd, type Unit } from "../setup/units.ts";
import { BOOT_UNIT, bootUnit } from "./boot-unit.ts";
import {
  type KillSwitchFiles,
  type KillSwitchRecord,
  killSwitchFiles,
  readRecord,
  rulesOf,
} from "./record.ts";

export interface KillSwitchStatus {
  /**
   * "on": it holds. "trial": it holds until nobody confirms. "lost": it was switched on, and somebody has removed its rules. "stray": rules that
   * this configuration knows nothing of hold.
   */
  readonly state: "on" | "off" | "trial" | "lost" | "stray";
  readonly droppedPackets: number;
  /** Whether the service manager loads it when the machine starts. */
  readonly isLoadedAtBoot: boolean;
  readonly record?: KillSwitchRecord;
}

const RULES_MODE = 0o600;
const RECORD_MODE = 0o644;

/** The kill switch of this machine: rules in the kernel, the same on the disk, and a unit that loads them. */
export class KillSwitch {
  readonly #files: KillSwitchFiles;
  readonly #configFile: string;
  readonly #unit: Unit;

  /** `units`: where units of the administrator are. */
  constructor({ configFile, units }: { readonly configFile: string; readonly units: string }) {
    this.#configFile = configFile;
    this.#unit = { folder: units, ...BOOT_UNIT };
    this.#files = killSwitchFiles(configFile);
  }

  get record(): KillSwitchRecord | undefined {
    return readRecord(this.#configFile);
  }

  async status(): Promise<KillSwitchStatus> {
    const { record } = this;
    const kernel = await readKillSwitch();
    const facts = {
      droppedPackets: kernel.kind === "absent" ? 0 : kernel.droppedPackets,
      isLoadedAtBoot: isEnabled(this.#unit),
      ...(record !== undefined && { record }),
    };
    switch (kernel.kind) {
      case "trial":
        return { state: "trial", ...facts };
      case "loaded":
        return { state: record === undefined ? "stray" : "on", ...facts };
      // A trial that is over holds what held before.
      case "over":
        return { state: record === undefined ? "off" : "on", ...facts };
      case "absent":
        return { state: record === undefined ? "off" : "lost", ...facts };
    }
  }

  /** Holds for a while, in the kernel alone; without `keep` what held before holds again then. */
  async try(record: KillSwitchRecord, seconds: number): Promise<void> {
    const { record: before } = this;
    const former = before && rulesOf(before, SOCKET_MARK);
    await loadKillSwitch(killSwitchTrialText(rulesOf(record, SOCKET_MARK), { seconds, former }));
  }

  /** Ends a trial: what held before holds again. */
  async goBack(): Promise<void> {
    const { record: before } = this;
    if (before === undefined) await unloadKillSwitch();
    else await loadKillSwitch(killSwitchText(rulesOf(before, SOCKET_MARK)));
  }

  /** Holds from now on, over every end of ours, and where systemd is, over every start of the machine. */
  async keep(record: KillSwitchRecord): Promise<void> {
    const text = killSwitchText(rulesOf(record, SOCKET_MARK));
    // The kernel is asked first: what it refuses must not wait for the next start.
    await loadKillSwitch(text);
    writeWhole(this.#files.rules, text, RULES_MODE);
    writeWhole(this.#files.record, `${JSON.stringify(record)}\n`, RECORD_MODE);
    if (!existsSync(this.#unit.folder)) return;
    installUnit(this.#unit, bootUnit({ nft: pathOfNft(), rules: this.#files.rules }));
    tellSystemd("start", this.#unit.name);
  }

  /** Takes all of it back, the rules in the kernel last. */
  async off(): Promise<void> {
    // First that nft is there and lets us.
    await readKillSwitch();
    const hadUnit = removeUnit(this.#unit);
    for (const path of [this.#files.record, this.#files.rules]) removeFile(path);
    await unloadKillSwitch();
    if (hadUnit && tellSystemd("stop", this.#unit.name)) tellSystemd("daemon-reload");
  }
}

function pathOfNft(): string {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, "nft")).find((path) => existsSync(path)) ?? "/usr/sbin/nft";
}
