import * as v from "valibot";
import { parseEspProposal, parseIkeProposal } from "../policy/keywords.ts";
import { integer, mapping, oneOf, oneOrMore, password, text, textOrNumber } from "./fields.ts";
import { redirectToSchema } from "./redirect-to.ts";
import { revocationSchema } from "./revocation.ts";
import {
  parseDomain,
  parseHost,
  parseIpAddress,
  parseLifetime,
  parseNetwork,
  parsePath,
  parseReportInterval,
} from "./values.ts";

/** How clients may show who they are. */
export const GATEWAY_AUTHENTICATIONS = ["eap-mschapv2", "eap-tls", "radius", "certificate"] as const;

/** What is taken for the sake of old clients. "none" is the default, written out. */
const COMPATIBILITIES = ["none", "windows-default"] as const;

const certificateFiles = mapping({
  certificate: text(parsePath),
  key: text(parsePath),
  passphrase: v.optional(text(parsePath)),
});

/** `gateway:` as a user writes it. What values mean together is checked in `gateway.ts`. */
export const gatewaySchema = mapping({
  domain: text(parseHost),
  certificate: v.optional(text(parsePath)),
  key: v.optional(text(parsePath)),
  passphrase: v.optional(text(parsePath)),
  certificates: v.optional(v.pipe(v.array(certificateFiles), v.minLength(1, "the list is empty"))),
  auth: v.optional(oneOrMore(oneOf(GATEWAY_AUTHENTICATIONS))),
  eapOnly: v.optional(v.boolean("expected true or false")),
  users: v.optional(text(parsePath)),
  ca: v.optional(oneOrMore(text(parsePath))),
  revocation: v.optional(revocationSchema),
  pool: oneOrMore(text(parseNetwork)),
  dns: v.optional(oneOrMore(text(parseIpAddress))),
  domains: v.optional(oneOrMore(text(parseDomain))),
  subnets: v.optional(oneOrMore(text(parseNetwork))),
  devicesPerUser: v.optional(integer({ from: 1, to: 1000 })),
  childLifetime: v.optional(textOrNumber(parseLifetime)),
  ikeLifetime: v.optional(textOrNumber(parseLifetime)),
  reauth: v.optional(textOrNumber(parseLifetime)),
  redirectTo: v.optional(redirectToSchema),
  resumption: v.optional(v.boolean("expected true or false")),
  clientToClient: v.optional(v.boolean("expected true or false")),
  nat: v.optional(v.boolean("expected true or false")),
  compat: v.optional(oneOrMore(oneOf(COMPATIBILITIES))),
  ike: v.optional(oneOrMore(text(parseIkeProposal))),
  esp: v.optional(oneOrMore(text(parseEspProposal))),
});

const radiusServer = mapping({
  address: text(parseIpAddress),
  port: v.optional(integer({ from: 1, to: 65_535 })),
  secret: password,
});

/** Who may end sessions sends from any port. */
const disconnectClient = mapping({ address: text(parseIpAddress), secret: password });

const radiusServers = v.pipe(v.array(radiusServer), v.minLength(1, "the list is empty"));

/** `radius:` as a user writes it: who decides on logins in the gateway's stead, who keeps account of its clients, and who may end what they have. */
export const radiusSchema = mapping({
  servers: radiusServers,
  accounting: v.optional(
    mapping({
      servers: v.optional(radiusServers),
      interim: v.optional(textOrNumber(parseReportInterval)),
    }),
  ),
  disconnect: v.optional(
    mapping({
      servers: v.optional(v.pipe(v.array(disconnectClient), v.minLength(1, "the list is empty"))),
      address: v.optional(text(parseIpAddress)),
      port: v.optional(integer({ from: 1, to: 65_535 })),
    }),
  ),
});
