import { version } from "../../../engine/version.ts";
import type { Caller } from "../caller.ts";

/** Our IKE machine in the process that drives it, without a data plane. */
export const ikebanaCaller: Caller = {
  name: "ikebana",
  title: "Ikebana",
  start: async () => ({
    version: `Ikebana ${version()} on Node ${process.versions.node}`,
    prepare: async () => ({}),
  }),
};
