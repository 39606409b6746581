import { expect, test } from "vitest";
import { ExchangeType } from "../../src/iana/ikev2-parameters.ts";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { createSites, pingBothWays } from "../interop/sites.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { udpPayloadOf } from "../support/spoof.ts";
import { until } from "../support/waiting.ts";

// One connection for each size of ML-KEM, with a child SA of its own. The largest comes with a PPK too, and behind another key exchange.

const CONNECTIONS = [
  { name: "small", ike: "aes128gcm16-prfsha256-x25519-ke1_mlkem512", inside: ["10.1.1.1", "10.2.1.1"] },
  { name: "middle", ike: "aes256gcm16-prfsha384-x25519-ke1_mlkem768", inside: ["fd01:1::1", "fd02:1::1"] },
  {
    name: "large",
    ike: "aes256-sha512-ecp384-ke1_x25519-ke2_mlkem1024",
    inside: ["10.1.2.1", "10.2.2.1"],
    more: 'ppk: { id: office, key: { hex: "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f" } }',
  },
] as const satisfies readonly Tunnel[];

interface Tunnel {
  readonly name: string;
  readonly ike: string;
  readonly inside: readonly [left: string, right: string];
  readonly more?: string;
}

/** RFC 7383: the payload that an IKE message begins with whose content is in fragments. */
const ENCRYPTED_FRAGMENT = 53;

test.skipIf(!requireRoot("further key exchanges between two of us"))(
  "ML-KEM of all three sizes sets up tunnels beside the usual key exchange, in fragments, and they are rekeyed",
  async () => {
    const insides = (side: 0 | 1): readonly string[] => CONNECTIONS.map(({ inside }) => inside[side]);
    const sites = await createSites({ left: insides(0), right: insides(1) });
    const daemons: IkebanaDaemon[] = [];
    const log = (): string => daemons.map((daemon) => daemon.log).join("\n");
    const exchanges: { readonly type: number; readonly isFragment: boolean }[] = [];
    const capture = sites.watch((frame) => {
      if (describeFrame(frame).kind !== "ike") return;
      const payload = udpPayloadOf(frame);
      const message = payload.subarray(payload.subarray(0, 4).every((octet) => octet === 0) ? 4 : 0);
      exchanges.push({ type: message[18]!, isFragment: message[16] === ENCRYPTED_FRAGMENT });
    });
    try {
      daemons.push(await startIkebana(sites.right, configuration(1)));
      const left = await startIkebana(sites.left, configuration(0));
      daemons.push(left);
      const proposals = async (): Promise<readonly unknown[]> => {
        const { connections } = await left.status();
        return connections.map(({ ikeSa }) => (ikeSa?.children.length === 1 ? ikeSa.proposal : undefined));
      };
      const expected = CONNECTIONS.map(({ ike }) => ike);
      await until("all are up", async () => `${await proposals()}` === `${expected}`, { describe: log });
      capture.poll();
      const intermediate = exchanges.filter(({ type }) => type === ExchangeType.IKE_INTERMEDIATE);
      // One each, and two of the last, there and back; the public key of the largest in two fragments, and so is its ciphertext.
      expect(intermediate.length).toBeGreaterThanOrEqual(10);
      expect(intermediate.filter(({ isFragment }) => isFragment).length).toBeGreaterThanOrEqual(4);
      const pairs = CONNECTIONS.map(({ inside }) => inside);
      expect(await pingBothWays(sites, pairs), log()).toEqual([]);

      for (const { name } of CONNECTIONS) {
        for (const what of ["ike", "children"] as const)
          expect(await left.client.rekey(name, what), log()).toMatchObject({ kind: "done" });
      }
      expect(await pingBothWays(sites, pairs), log()).toEqual([]);
      expect(log()).not.toContain(" error ");
    } finally {
      capture.close();
      for (const daemon of daemons) await daemon.stop("SIGKILL");
      await sites.close();
    }
  },
);

function configuration(side: 0 | 1): string {
  const address = (of: 0 | 1): string => `192.0.2.${of + 1}`;
  const other = side === 0 ? 1 : 0;
  const connections = (CONNECTIONS as readonly Tunnel[]).map(
    ({ name, ike, inside, more = "" }) => `
  ${name}:
    local: { address: ${address(side)}, id: ${name}${side}.example.org, psk: "correct horse battery staple" }
    remote: { address: ${address(other)}, id: ${name}${other}.example.org }
    start: ${side === 0 ? "start" : "respond"}
    ike: [${ike}]
    ${more}
    children:
      lan: { local: "${inside[side]}", remote: "${inside[other]}" }`,
  );
  return `
socket: ikebana.sock
state: state
connections:${connections.join("")}
`;
}
