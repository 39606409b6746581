import { readFileSync } from "node:fs";

const LONGEST_ANCESTRY = 64;

/**
 * Where the SSH session that this process belongs to comes from; undefined outside of one. sudo takes the variable away, so the processes
 * above us are asked too.
 */
export function sshClient(
  own: NodeJS.ProcessEnv = process.env,
  parent: number = process.ppid,
  root = "/proc",
): string | undefined {
  const here = clientOf(own.SSH_CONNECTION);
  if (here !== undefined) return here;
  for (let pid = parent, i = 0; pid > 1 && i < LONGEST_ANCESTRY; i++) {
    const variable = read(`${root}/${pid}/environ`)
      .split("\0")
      .find((entry) => entry.startsWith("SSH_CONNECTION="));
    const found = clientOf(variable?.slice("SSH_CONNECTION=".length));
    if (found !== undefined) return found;
    pid = Number(/^PPid:\s*(\d+)$/m.exec(read(`${root}/${pid}/status`))?.[1] ?? 0);
  }
  return undefined;
}

/** "192.0.2.7 50000 192.0.2.1 22": the first is the client's. A link-local one names its link behind a "%". */
function clientOf(connection: string | undefined): string | undefined {
  const [address = ""] = (connection ?? "").split(" ", 1);
  const [plain = ""] = address.split("%", 1);
  return plain === "" ? undefined : plain;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
