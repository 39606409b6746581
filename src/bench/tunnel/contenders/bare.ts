import type { Contender } from "../contender.ts";
import { CLIENT, GATEWAY, type Ground, type Host, INNER_MTU, OUTER_LINK, withNetwork } from "../ground.ts";

/** No tunnel: what the machine and the load generator can do at most, with packets of the size that the tunnels carry. */
export const bare: Contender = {
  name: "bare",
  title: "no tunnel",
  encrypts: false,
  cipher: "none",
  isDefault: true,
  async start(ground) {
    leadOver(ground, ground.client, { to: GATEWAY.network, gateway: GATEWAY.outer });
    leadOver(ground, ground.gateway, { to: CLIENT.network, gateway: CLIENT.outer });
    return { version: "the kernel's routing", cipher: "none", link: OUTER_LINK, daemons: [] };
  },
};

function leadOver(
  { systemCalls }: Ground,
  host: Host,
  { to, gateway }: { readonly to: string; readonly gateway: string },
): void {
  host.inside(() =>
    withNetwork(systemCalls, (network) => {
      network.setLinkUp(OUTER_LINK, { mtu: INNER_MTU });
      network.addRoute({ destination: to, gateway, link: OUTER_LINK });
    }),
  );
}
