import { createHash, createHmac } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { DisconnectListener, type DisconnectPolicy } from "../../src/engine/disconnect-listener.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { RadiusCode } from "../../src/iana/radius.ts";
import type { OpenServiceSocket } from "../../src/platform/udp/service-socket.ts";
import { encodeRadius, integerAttribute, textAttribute } from "../../src/radius/packet.ts";

const SECRET = Buffer.from("between server and gateway");
const SERVER = { address: "192.0.2.10", port: 40_000 };
const policy: DisconnectPolicy = {
  clients: [{ address: SERVER.address, secret: SECRET }],
  nasIdentifier: "vpn.example.org",
  address: undefined,
  port: 3799,
};

let places: Map<string, Parameters<OpenServiceSocket>[1]>;
let sent: { readonly octets: Uint8Array; readonly port: number }[];
let warnings: string[];
let ended: number;
let now: number;
let taken: string | undefined;
let listener: DisconnectListener;

beforeEach(() => {
  [places, sent, warnings, ended, now, taken] = [new Map(), [], [], 0, 0, undefined];
  listener = new DisconnectListener({
    open: ({ address, port, isShared }, onDatagram) => {
      const place = `${address} ${port}${isShared ? " shared" : ""}`;
      if (place === taken) return Promise.reject(new PlatformError("taken", { code: "EADDRINUSE" }));
      places.set(place, onDatagram);
      return Promise.resolve({
        send: (octets, to) => sent.push({ octets, port: to.port }),
        close: () => Promise.resolve(void places.delete(place)),
      });
    },
    clock: { now: () => now },
    wallClock: () => 1_700_000_000_000 + now,
    end: () => ++ended,
    onWarning: (message) => warnings.push(message),
  });
});

const open = () => [...places.keys()];

function disconnectRequest(identifier: number): Uint8Array {
  const attributes = [
    { type: 80, value: new Uint8Array(16) },
    textAttribute(1, "anna"),
    integerAttribute(55, 1_700_000_000 + Math.floor(now / 1000)),
  ];
  const authenticator = new Uint8Array(16);
  const packet = encodeRadius({ code: 40, identifier, authenticator, attributes });
  packet.set(createHmac("md5", SECRET).update(packet).digest(), 22);
  packet.set(createHash("md5").update(packet).update(SECRET).digest(), 4);
  return packet;
}

test("a port is open as long as somebody may end sessions, and is where the configuration says", async () => {
  await listener.apply(undefined);
  expect(open()).toEqual([]);
  await listener.apply(policy);
  expect(open()).toEqual(["0.0.0.0 3799"]);
  const both = { ...policy, clients: [...policy.clients, { address: "2001:db8::10", secret: SECRET }] };
  await listener.apply(both);
  expect(open()).toEqual(["0.0.0.0 3799", ":: 3799"]);
  await listener.apply({ ...both, address: "192.0.2.1", port: 1700 });
  expect(open()).toEqual(["192.0.2.1 1700"]);
  await listener.apply(undefined);
  expect(open()).toEqual([]);
  await listener.apply(policy);
  await listener.close();
  expect(open()).toEqual([]);
});

test("a port that is taken is told of, and tried again with the next reload", async () => {
  taken = "0.0.0.0 3799";
  await listener.apply(policy);
  expect(warnings).toEqual(["RADIUS servers cannot end sessions: taken"]);
  taken = undefined;
  await listener.apply(policy);
  expect(open()).toEqual(["0.0.0.0 3799"]);
});

test("answers go back where the request came from, and a reload forgets no request", async () => {
  await listener.apply(policy);
  now = 1_000;
  const octets = disconnectRequest(1);
  places.get("0.0.0.0 3799")!(octets, SERVER);
  expect(sent).toMatchObject([{ port: SERVER.port }]);
  expect(sent[0]!.octets[0]).toBe(RadiusCode.DISCONNECT_ACK);
  await listener.apply({ ...policy, port: 3800 });
  places.get("0.0.0.0 3800")!(octets, SERVER);
  expect(ended).toBe(1);
  expect(sent).toHaveLength(2);
});

test("a flood of forged requests takes little time, and one line in ten minutes", async () => {
  await listener.apply(policy);
  now = 1_000;
  const receive = places.get("0.0.0.0 3799")!;
  const forged = disconnectRequest(1);
  forged[30] = forged[30]! ^ 1;
  const flood = () => {
    for (let count = 0; count < 10_000; count++) receive(forged, SERVER);
    receive(Uint8Array.of(1, 2, 3), SERVER);
    receive(forged, { address: "198.51.100.1", port: 1 });
  };
  flood();
  expect(warnings).toEqual(["requests to end sessions were not heard: 1 forged"]);
  now += 600_000;
  flood();
  expect(warnings).toHaveLength(2);
  expect(warnings[1]).toMatch(/: 100 forged, 9900 too many, 1 malformed, 1 from a stranger$/);
  expect(sent).toEqual([]);
  // Who is genuine is heard as soon as there is time again.
  now += 1_000;
  receive(disconnectRequest(2), SERVER);
  expect(ended).toBe(1);
});
