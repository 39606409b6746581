// Sends what may be seen on a wire or must not, again and again until it is killed: arguments are "NAME KIND ADDRESS PORT SOURCE" each,
// "-" for any source, with a port of ours behind it or without. Each datagram carries "probe:NAME." A line on the standard output ends each
// round: when it began, by hrtime().
import { createSocket } from "node:dgram";
import { connect } from "node:net";

const PAUSE_MS = 10;

const probes = await Promise.all(
  process.argv.slice(2).map(async (words) => {
    const [name, kind, host, port, source, sourcePort = "0"] = words.split(" ");
    if (kind === "tcp") {
      return () => {
        const socket = connect({ host, port: Number(port) });
        socket.on("error", () => {});
        setTimeout(() => socket.destroy(), 5 * PAUSE_MS);
      };
    }
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    await new Promise((resolve) =>
      socket.bind(Number(sourcePort), source === "-" ? undefined : source, resolve),
    );
    socket.on("error", () => {});
    const datagram = Buffer.from(`probe:${name}.`);
    return () => socket.send(datagram, Number(port), host, () => {});
  }),
);

setInterval(() => {
  const begunAt = process.hrtime.bigint();
  for (const send of probes) send();
  process.stdout.write(`${begunAt}\n`);
}, PAUSE_MS);
