import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findPrograms } from "../../tunnel/program.ts";
import type { Caller } from "../caller.ts";
import { StrongswanDaemon } from "../strongswan-daemon.ts";

/** One strongSwan that is all peers. Unlike ours it has a data plane, and its routes need the peers' inner addresses. */
export const strongswanCaller: Caller = {
  name: "strongswan",
  title: "strongSwan",
  async start({ client, directory }, callers) {
    const [ip] = findPrograms([{ program: "ip", package: "iproute2" }]);
    const batch = join(directory, "addresses");
    const lines = callers.peers.map(({ address }) => `address add ${address} dev lo\n`);
    writeFileSync(batch, lines.join(""));
    await client.run([ip!, "-batch", batch]);
    const daemon = await StrongswanDaemon.start(client, directory);
    return {
      version: daemon.version,
      async prepare(group) {
        await daemon.load("initiator", { ...callers, groups: [group] });
        return { daemon: { pid: daemon.pid, vici: daemon.vici } };
      },
    };
  },
};
