import { createHash, createHmac } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type Attribute, decodeRadius, encodeRadius, type RadiusPacket } from "../../src/radius/packet.ts";

/** What a RADIUS server makes of a request; undefined for silence. */
export type Answering = (
  request: RadiusPacket,
  count: number,
) => { readonly code: number; readonly attributes: readonly Attribute[]; readonly spoil?: Spoil } | undefined;

/** What is wrong with an answer. */
export type Spoil = "secret" | "no Message-Authenticator" | "Message-Authenticator" | "identifier";

/** A RADIUS server on the loopback link, which makes its authenticators on its own, by the words of RFC 2865 and RFC 3579. */
export async function startFakeServer(secret: Uint8Array, answering: Answering) {
  const socket = createSocket("udp4");
  const requests: Uint8Array[] = [];
  socket.on("message", (octets, from) => {
    requests.push(new Uint8Array(octets));
    const request = decodeRadius(octets)!;
    const answer = answering(request, requests.length);
    if (answer !== undefined) socket.send(sealed(answer, { request, secret }), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    server: { address: "127.0.0.1", port: socket.address().port, secret },
    /** Everything that came, in order. */
    requests: requests as readonly Uint8Array[],
    close: () => socket.close(),
  };
}

function sealed(
  { code, attributes, spoil }: NonNullable<ReturnType<Answering>>,
  { request, secret }: { readonly request: RadiusPacket; readonly secret: Uint8Array },
): Uint8Array {
  const { authenticator } = request;
  const identifier = spoil === "identifier" ? request.identifier ^ 1 : request.identifier;
  const own = spoil === "no Message-Authenticator" ? [] : [{ type: 80, value: new Uint8Array(16) }];
  const packet = encodeRadius({ code, identifier, authenticator, attributes: [...own, ...attributes] });
  const key = spoil === "secret" ? Buffer.from("another") : secret;
  if (own.length > 0) packet.set(createHmac("md5", key).update(packet).digest(), 22);
  if (spoil === "Message-Authenticator") packet[22] = packet[22]! ^ 1;
  packet.set(createHash("md5").update(packet).update(key).digest(), 4);
  return packet;
}
