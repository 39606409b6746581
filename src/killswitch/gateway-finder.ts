import { type GatewayFinder, PLAIN_FINDER } from "../engine/locate-gateway.ts";
import { pinnedHosts, readRecord } from "./record.ts";

/** Gateways as a kill switch lets us find and reach them, whether it is on or not at that moment. */
export function gatewayFinder(configFile: string): GatewayFinder {
  return {
    addressesOf: async (host) => pinnedHosts(configFile).get(host) ?? PLAIN_FINDER.addressesOf(host),
    hindranceTo: (address) => {
      const record = readRecord(configFile);
      if (record === undefined || record.gateways.some((gateway) => gateway.address === address))
        return undefined;
      return `the kill switch is on and does not let ${address} through; to let it: ikebana killswitch on --gateway, with each gateway`;
    },
  };
}
