import type { Responder } from "../responder.ts";
import { StrongswanDaemon } from "../strongswan-daemon.ts";

export const strongswanResponder: Responder = {
  name: "strongswan",
  title: "strongSwan",
  async start({ gateway, directory }, callers) {
    const daemon = await StrongswanDaemon.start(gateway, directory);
    await daemon.load("responder", callers);
    return daemon;
  },
};
