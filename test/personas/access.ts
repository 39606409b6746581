import { X509Certificate } from "node:crypto";
import { readCertificate } from "../../src/pki/certificate.ts";
import { authorityHash } from "../../src/pki/certificate-request.ts";
import type { Credential } from "../../src/pki/credential.ts";
import { keyTypeOf } from "../../src/pki/public-keys.ts";
import type { ChildPolicy, ConnectionPolicy } from "../../src/policy/connection.ts";
import { DEFAULT_ESP_PROPOSALS, DEFAULT_IKE_PROPOSALS } from "../../src/policy/default-proposals.ts";
import { parseIkeProposal } from "../../src/policy/keywords.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";
import { numberProposals } from "../../src/policy/transforms.ts";
import { AddressPools } from "../../src/pool/address-pools.ts";
import { EspBed } from "../esp/esp-bed.ts";
import { makeAuthority, makeLeaf } from "../support/certificates.ts";
import { signingKeys } from "../support/signing-keys.ts";
import { logins } from "../support/simulator/credentials.ts";
import {
  authenticating,
  childPolicy,
  Link,
  RESPONDER_ADDRESS,
  responderPolicy,
  SimulatedMachine,
} from "../support/simulator/index.ts";
import { GATEWAY_NAME } from "./persona.ts";

// A gateway as one sets it up for stock clients: one certificate, logins, pools of both families, and the default proposals.

export const PASSWORD = "correct horse";
const POOLS = ["10.77.0.0/24", "fd77::/64"];

const root = makeAuthority({ name: "CN=Example Root" });
const intermediate = makeAuthority({ name: "CN=Example Intermediate", by: root }, 0);

/** What clients have in their store of CAs. */
export const ROOT = new X509Certificate(root.der);
export const ROOT_HASH = authorityHash(root.certificate);

/** An RSA certificate, as certbot makes it with `--key-type rsa`, or one on P-256. */
export function credential(kind: "rsa" | "p256"): Credential {
  const keys = signingKeys(kind);
  const leaf = makeLeaf({ name: `CN=${GATEWAY_NAME}`, by: intermediate, keys }, [GATEWAY_NAME]);
  return {
    chain: [leaf.der, intermediate.der],
    certificate: readCertificate(leaf.der),
    key: keys.privateKey,
    keyType: keyTypeOf(keys.privateKey)!,
    issuerKeyHashes: [authorityHash(intermediate.certificate), ROOT_HASH],
  };
}

export interface Access {
  readonly gateway: SimulatedMachine;
  readonly link: Link;
  readonly pools: AddressPools;
  /** The gateway's data plane: SAD, SPD and kernel. */
  readonly bed: EspBed;
}

export interface AccessOptions {
  readonly seed: number;
  readonly credentials?: readonly Credential[];
  readonly compat?: ConnectionPolicy["compat"];
  /** What lies behind the gateway; everything by default. */
  readonly subnets?: readonly string[];
  /** IKE proposals in the place of the default ones. */
  readonly ike?: readonly string[];
}

export function accessTo(options: AccessOptions): Access {
  const { seed, credentials = [credential("rsa")], compat, subnets = ["0.0.0.0/0", "::/0"], ike } = options;
  const link = new Link();
  const bed = new EspBed({ seed });
  const pools = new AddressPools({ prefixes: POOLS });
  const child: ChildPolicy = {
    ...childPolicy({ local: subnets, remote: POOLS }),
    espProposals: numberProposals(DEFAULT_ESP_PROPOSALS),
  };
  const policy = responderPolicy({ localId: GATEWAY_NAME, remoteAddress: undefined, children: [child] });
  const connection: ConnectionPolicy = {
    ...authenticating(policy, {
      local: { kind: "certificate", credentials },
      remote: [{ kind: "eap", server: logins({ anna: PASSWORD }) }],
      isForAnybody: true,
    }),
    ikeProposals: numberProposals(ike?.map(parseIkeProposal) ?? DEFAULT_IKE_PROPOSALS),
    gives: {
      dns: ["10.77.0.1", "fd77::1"],
      subnets: ["10.2.0.0/16"],
      domains: [{ name: "corp.example.org", trustAnchors: [] }],
    },
    asksRoutesAt: selectorsFromPrefixes(["255.255.255.255/32", "10.77.0.1/32"]),
    // Rare enough for days to pass quickly.
    liveness: { intervalMs: 1_800_000 },
    ...(compat && { compat }),
  };
  const gateway: SimulatedMachine = new SimulatedMachine({
    name: "gateway",
    address: RESPONDER_ADDRESS,
    seed,
    connections: [connection],
    addresses: {
      assign: ({ user, device, wanted }) => pools.assign({ user, device }, wanted),
      release: (lease) => pools.release(lease),
    },
    allocateSpi: () => bed.sad.allocateSpi(),
    clock: link,
    transmit: (octets, path) => link.transmit(gateway, octets, path),
  });
  link.add(gateway);
  return { gateway, link, pools, bed };
}
