import { once } from "node:events";
import { createServer } from "node:net";
import { type StreamReport, sendStream, takeStream } from "../support/integrity/tcp-stream.ts";

// The guest's end of all TCP transfers, since a program takes a second to start there. Whatever comes to the first port is taken; to whoever
// connects to the second one is sent what a line asks for: "OCTETS SEED". Each transfer ends with a line of JSON.

export const TAKING_PORT = 9000;
export const SENDING_PORT = 9001;

if (process.argv[2] === "run") {
  const report = (result: StreamReport): void => console.log(JSON.stringify(result));
  const taking = createServer(async (socket) => report(await takeStream(socket)));
  const sending = createServer(async (socket) => {
    const [line] = (await once(socket, "data")) as [Buffer];
    const [octets, seed = ""] = line.toString().trim().split(" ");
    report(await sendStream(socket, { octets: Number(octets), seed }));
  });
  await once(taking.listen(TAKING_PORT, "::"), "listening");
  await once(sending.listen(SENDING_PORT, "::"), "listening");
  console.log("listening");
}
