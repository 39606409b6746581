import * as v from "valibot";
import { WORKER_LIMIT } from "../esp/lanes.ts";
import { parseIdentity } from "../policy/identity.ts";
import { parseEspProposal, parseIkeProposal } from "../policy/keywords.ts";
import {
  integer,
  isMapping,
  mapping,
  named,
  oneOf,
  oneOrMore,
  password,
  plainSecret,
  text,
  textOrNumber,
} from "./fields.ts";
import { gatewaySchema, radiusSchema } from "./gateway-schema.ts";
import { redirectToSchema } from "./redirect-to.ts";
import { revocationSchema } from "./revocation.ts";
import { parseSelector } from "./selector.ts";
import {
  parseHost,
  parseInterval,
  parseIpAddress,
  parseLifetime,
  parseListenAddress,
  parseMtu,
  parsePadTo,
  parsePath,
  parsePatience,
  parsePpkId,
  parseTcpPort,
  parseTunName,
  parseUserName,
  parseVolume,
} from "./values.ts";

/** The file as a user writes it, each value understood on its own. What values mean together is checked in `connections.ts`. */

/** Exactly one way to give the key. Texts stay texts here: they are turned into octets where the file's folder is known. */
const presharedKey = v.lazy((input) => (isMapping(input) ? presharedKeySource : plainSecret));

const presharedKeySource = v.pipe(
  mapping({ file: v.optional(plainSecret), hex: v.optional(plainSecret), base64: v.optional(plainSecret) }),
  v.check(
    (source) => [source.file, source.hex, source.base64].filter((given) => given !== undefined).length === 1,
    "give exactly one of file, hex and base64",
  ),
);

const local = mapping({
  address: v.optional(text(parseIpAddress)),
  id: v.optional(text(parseIdentity)),
  psk: v.optional(presharedKey),
  certificate: v.optional(text(parsePath)),
  key: v.optional(text(parsePath)),
  privateKey: v.optional(text(parsePath)),
  passphrase: v.optional(text(parsePath)),
});

const remoteMapping = mapping({
  address: v.optional(text(parseHost)),
  port: v.optional(integer({ from: 1, to: 65_535 })),
  tcpPort: v.optional(integer({ from: 1, to: 65_535 })),
  id: v.optional(text(parseIdentity)),
  ca: v.optional(oneOrMore(text(parsePath))),
  publicKey: v.optional(oneOrMore(text(parsePath))),
  aaa: v.optional(text(parseIdentity)),
  revocation: v.optional(revocationSchema),
});
const remoteAddress = v.pipe(
  text(parseHost),
  v.transform((address): v.InferOutput<typeof remoteMapping> => ({ address })),
);
const remote = v.lazy((input) => (typeof input === "string" ? remoteAddress : remoteMapping));

/** "never", or a duration. A lifetime below a second would leave no time to rekey. */
const lifetime = textOrNumber(parseLifetime);

const rekey = mapping({
  time: v.optional(lifetime),
  bytes: v.optional(textOrNumber(parseVolume)),
  packets: v.optional(integer({ from: 1_000, to: 2 ** 53 - 1 })),
});

const tfc = mapping({
  padTo: v.optional(textOrNumber(parsePadTo)),
  dummyEvery: v.optional(textOrNumber(parseInterval)),
});

const child = mapping({
  local: oneOrMore(text(parseSelector)),
  remote: oneOrMore(text(parseSelector)),
  esp: v.optional(oneOrMore(text(parseEspProposal))),
  replayWindow: v.optional(integer({ from: 64, to: 8192 })),
  copyDscp: v.optional(oneOf(["out", "in", "yes", "no"])),
  clampMss: v.optional(v.boolean("expected true or false")),
  df: v.optional(oneOf(["set", "copy", "clear"])),
  rekey: v.optional(rekey),
  tfc: v.optional(tfc),
  mode: v.optional(oneOf(["tunnel", "transport"])),
});

const ppk = mapping({
  id: text(parsePpkId),
  key: presharedKey,
  required: v.optional(v.boolean("expected true or false")),
});

const connection = mapping({
  local: v.optional(local, {}),
  remote,
  user: v.optional(text(parseUserName)),
  password: v.optional(password),
  eapOnly: v.optional(v.boolean("expected true or false")),
  ike: v.optional(oneOrMore(text(parseIkeProposal))),
  children: v.optional(named("child", child)),
  start: v.optional(oneOf(["start", "trap", "respond"])),
  ikeRekey: v.optional(lifetime),
  reauth: v.optional(lifetime),
  resumption: v.optional(v.boolean("expected true or false")),
  liveness: v.optional(
    mapping({
      interval: v.optional(lifetime),
      timeout: v.optional(textOrNumber(parsePatience)),
      action: v.optional(oneOf(["restart", "trap", "clear"])),
    }),
  ),
  encapsulation: v.optional(oneOf(["auto", "udp", "raw"])),
  tcp: v.optional(oneOf(["auto", "always", "never"])),
  pathMtu: v.optional(oneOf(["probe", "kernel"])),
  childless: v.optional(v.boolean("expected true or false")),
  ppk: v.optional(ppk),
  mobike: v.optional(v.boolean("expected true or false")),
  redirect: v.optional(oneOf(["follow", "ignore"])),
  redirectTo: v.optional(redirectToSchema),
});

const listenMapping = mapping({
  addresses: v.optional(oneOrMore(text(parseListenAddress))),
  port: v.optional(integer({ from: 1, to: 65_535 })),
  natTraversalPort: v.optional(integer({ from: 1, to: 65_535 })),
  tcp: v.optional(textOrNumber(parseTcpPort)),
});
const listenAddresses = v.pipe(
  oneOrMore(text(parseListenAddress)),
  v.transform((addresses): v.InferOutput<typeof listenMapping> => ({ addresses })),
);

/** Microseconds. Whoever waits longer is not helped by it. */
const SPIN_LIMIT = 1000;

const fileMapping = mapping(
  {
    gateway: v.optional(gatewaySchema),
    radius: v.optional(radiusSchema),
    connections: v.optional(named("connection", connection)),
    listen: v.optional(v.lazy((input) => (isMapping(input) ? listenMapping : listenAddresses))),
    mtu: v.optional(textOrNumber(parseMtu)),
    tun: v.optional(text(parseTunName)),
    offloads: v.optional(oneOf(["auto", "off"])),
    nativeCiphers: v.optional(oneOf(["auto", "off"])),
    spin: v.optional(integer({ from: 0, to: SPIN_LIMIT })),
    workers: v.optional(integer({ from: 1, to: WORKER_LIMIT })),
    log: v.optional(
      mapping({
        level: v.optional(oneOf(["debug", "info", "warning", "error"])),
        format: v.optional(oneOf(["human", "json"])),
      }),
    ),
    socket: v.optional(text(parsePath)),
    state: v.optional(text(parsePath)),
  },
  ["killSwitch"],
);

export const fileSchema = v.pipe(
  fileMapping,
  v.partialCheck(
    [["gateway"], ["connections"]],
    ({ gateway, connections }) => gateway !== undefined || connections !== undefined,
    "there is nothing to run here: neither a gateway nor connections",
  ),
);

export type ConfigFile = v.InferOutput<typeof fileSchema>;
export type ConnectionEntry = NonNullable<ConfigFile["connections"]>[string];
export type ChildEntry = NonNullable<ConnectionEntry["children"]>[string];
